"""Prime numbers: the sieve of Eratosthenes and factorisation by trial division."""

from math import isqrt


def primes_up_to(limit: int) -> list[int]:
    """Return all primes that are not greater than the limit, in ascending order."""
    if limit < 2:
        return []
    is_prime = [True] * (limit + 1)
    is_prime[0] = is_prime[1] = False
    for number in range(2, isqrt(limit) + 1):
        if is_prime[number]:
            for multiple in range(number * number, limit + 1, number):
                is_prime[multiple] = False
    return [number for number, prime in enumerate(is_prime) if prime]


def factorise(number: int) -> dict[int, int]:
    """Return the prime factors of a positive number, each with its exponent."""
    if number < 1:
        raise ValueError("only positive numbers can be factorised")
    factors: dict[int, int] = {}
    rest = number
    divisor = 2
    while divisor * divisor <= rest:
        while rest % divisor == 0:
            factors[divisor] = factors.get(divisor, 0) + 1
            rest //= divisor
        divisor += 1
    if rest > 1:
        factors[rest] = 1
    return factors


def count_divisors(number: int) -> int:
    """Return how many positive numbers divide the given one."""
    divisors = 1
    for exponent in factorise(number).values():
        divisors *= exponent + 1
    return divisors
