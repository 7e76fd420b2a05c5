"""Pickles with other steps in them than a writer takes."""

import pickletools
from random import Random

STEPS = [
    b"c__main__\nHostile\n", b"cos\nmkdir\n", b"cbuiltins\neval\n", b"ccollections\nOrderedDict\n", b"cnumpy\ndtype\n",
    b"c_codecs\nencode\n", b"cnumpy.core.multiarray\nscalar\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"R", b"b",
    b"\x81", b"o", b"(", b")", b"}", b"]", b"u", b"s", b"a", b"e", b"d", b"l", b"t", b"0", b"1", b"2", b"N", b"Q",
    b"q\xff", b"r\xff\xff\xff\xff", b"h\x00", b"j\x00\x00\x00\x00", b"\x94", b"K\x01", b"\x8a\xff" + b"\xff" * 255,
    b"X\x08\x00\x00\x00executed", b"X\xff\xff\xff\x7f", b"T\xff\xff\xff\xff", b"\x8e" + b"\xff" * 8,
    b"\x95" + b"\xff" * 8, b"\x82\x01", b"Pevil\n", b"I01\n", b"I" + b"9" * 5000 + b"\n", b"F1e999\n",
    b"G\x7f\xf8" + bytes(6), b".", b"\x80\x09",
]  # fmt: skip
"""Steps of pickles: calls, places, containers, numbers and lengths, true and false ones."""


def pickled(random: Random, content: bytes) -> bytes:
    """A pickle with steps of others in it, without some of its own, or with these in another order."""
    ends = [place for _, _, place in pickletools.genops(content) if place is not None]
    parts = [content[begin:end] for begin, end in zip(ends, [*ends[1:], len(content)], strict=True)]
    for _ in range(random.randint(1, 4)):
        place = random.randint(0, len(parts) - 1)
        kind = random.choice(["insert", "insert", "replace", "drop", "repeat", "swap"])
        if kind == "insert":
            parts[place:place] = random.choices(STEPS, k=random.randint(1, 4))
        elif kind == "replace":
            parts[place] = random.choice(STEPS)
        elif kind == "drop" and len(parts) > 1:
            del parts[place]
        elif kind == "repeat":
            parts[place:place] = [parts[place]] * random.choice([1, 1000])
        else:
            other = random.randint(0, len(parts) - 1)
            parts[place], parts[other] = parts[other], parts[place]
    return b"".join(parts)
