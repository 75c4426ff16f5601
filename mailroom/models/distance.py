"""How far two words are apart: insertions, deletions and substitutions (Levenshtein)."""

from collections import defaultdict


def distance(a: str, b: str, furthest: int) -> int:
    """Exact up to `furthest`, and `furthest + 1` for everything beyond.

    Myers' bit vectors (J. ACM 46:3, 1999, as Hyyrö put them in 2003): one row of the matrix is
    one integer, so a hostile pair costs a few operations per letter instead of a product.
    """
    beyond = furthest + 1
    if abs(len(a) - len(b)) > furthest:
        return beyond
    return min(_exact(a, b), beyond) if a and b else max(len(a), len(b))


def _exact(a: str, b: str) -> int:
    where: dict[str, int] = defaultdict(int)
    for position, letter in enumerate(a):
        where[letter] |= 1 << position
    mask, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    more, less, apart = mask, 0, len(a)
    for letter in b:
        same = where.get(letter, 0)
        diagonal = (((same & more) + more) ^ more) | same | less
        up = less | ~(diagonal | more)
        down = more & diagonal
        apart += bool(up & last) - bool(down & last)
        up = (up << 1) | 1
        more = ((down << 1) | ~(diagonal | up)) & mask
        less = up & diagonal & mask
    return apart
