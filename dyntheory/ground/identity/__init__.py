"""What a computation is: values, functions with all they use, and what a factory was asked for, as one short text."""
