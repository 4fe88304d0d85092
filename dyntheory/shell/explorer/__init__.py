"""The local page of `dyntheory explore`: controls that write the table of a problem, and curves that follow them.

`state` is the table behind the page, `work` and `lanes` compute what it asks for, `page` shows it, `serve` is the
server. Panel is imported when a page is made, never before.
"""
