"""Laws of the data: where inputs, teachers and labels come from."""
