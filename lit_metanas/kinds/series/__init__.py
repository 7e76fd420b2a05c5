"""Series of numbers, such as those of sensors: how they are read and made inputs, and tasks of them."""
