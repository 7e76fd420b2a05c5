"""Published cells of NAS-Bench-101."""

C3, C1, POOL = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"


def cell(rows, *operations):
    return [[int(digit) for digit in row] for row in rows.split()], ["input", *operations, "output"]


INCEPTION = cell("0111010 0000001 0000001 0000100 0000001 0000001 0000000", C1, C3, C3, C3, POOL)
# As the benchmark's notebook prints it.
INCEPTION_TRAINED = cell("0111100 0000001 0000001 0000001 0000010 0000001 0000000", C3, C1, POOL, C3, C3)
# The first cell of the official files, and its hash there.
FIRST = cell("0100110 0010000 0001001 0000010 0000010 0000001 0000000", C3, POOL, C3, C3, C1)
FIRST_HASH = "00005c142e6f48ac74fdcf73e3439874"
