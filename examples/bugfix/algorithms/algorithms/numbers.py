"""Elementary number theory: common divisors, and arithmetic modulo a number."""


def gcd(first: int, second: int) -> int:
    """Return the greatest common divisor, which is never negative; 0 and 0 have 0."""
    while second:
        first, second = second, first % second
    return first


def lcm(first: int, second: int) -> int:
    """Return the least common multiple, which is never negative; it is 0 if one number is."""
    if first == 0 or second == 0:
        return 0
    return abs(first * second) // gcd(first, second)


def modular_power(base: int, exponent: int, modulus: int) -> int:
    """Return base ** exponent modulo the modulus, by repeated squaring."""
    if exponent < 0 or modulus < 1:
        raise ValueError("the exponent must not be negative, and the modulus must be positive")
    result = 1 % modulus
    square = base % modulus
    while exponent:
        if exponent & 1:
            result = result * square % modulus
        square = square * square % modulus
        exponent >>= 1
    return result


def extended_gcd(first: int, second: int) -> tuple[int, int, int]:
    """Return (g, x, y) with g = first * x + second * y, for numbers that are not negative.

    The first of the three is the greatest common divisor.
    """
    if second == 0:
        return first, 1, 0
    divisor, x, y = extended_gcd(second, first % second)
    return divisor, y, x - first // second * y


def modular_inverse(number: int, modulus: int) -> int:
    """Return the x from 0 to modulus - 1 with number * x = 1 modulo the modulus.

    Raises:
        ValueError: the two have a common divisor, so there is no such x.
    """
    divisor, inverse, _ = extended_gcd(number % modulus, modulus)
    if divisor != 1:
        raise ValueError(f"{number} has no inverse modulo {modulus}")
    return inverse
