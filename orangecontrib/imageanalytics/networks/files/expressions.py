"""Which symbolic expressions, such as of the size of a batch, are plain arithmetic."""

from __future__ import annotations

import ast
import re

SYMBOL = re.compile(r"(s|u|zf|zuf)[0-9]{1,5}")
CHARACTERS = re.compile(r"[A-Za-z0-9_ .,()+\-*/<>=&|~'%]+")
# As sympy writes an expression, in its two ways: s0 + 1, Add(Symbol('s0'), Integer(1)).
FUNCTIONS = re.compile(
    "Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CeilDiv"
    "|CleanDiv|floor|ceiling|Abs|Eq|Ne|Equality|Unequality|StrictLessThan|LessThan"
    "|StrictGreaterThan|GreaterThan|And|Or|Not|Where|CeilToInt|FloorToInt|TruncToInt"
    "|RoundToInt|ToFloat|IntTrueDiv|FloatTrueDiv|ModularIndexing|Identity"
)
CONSTANTS_OF_SYMPY = re.compile("true|false|oo|int_oo")
ASSUMPTIONS = re.compile(
    "(non)?(positive|negative|zero)|integer|real|finite|extended_real"
)
NODES = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.Load,
    ast.operator,
    ast.unaryop,
    ast.cmpop,
)
MAX_EXPRESSION = 5000
MAX_POWER = 16
DOUBLE = 53  # bits of a float's mantissa


def is_plain_arithmetic(text: str) -> bool:
    """Whether an expression is safe to evaluate: sympy does so as Python code."""
    if len(text) > MAX_EXPRESSION or not CHARACTERS.fullmatch(text):
        return False
    try:
        return all(map(_is_plain, ast.walk(ast.parse(text, mode="eval"))))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _is_plain(node) -> bool:
    if isinstance(node, ast.Constant):
        return _is_plain_constant(node.value)
    if isinstance(node, ast.Name):
        return bool(
            FUNCTIONS.fullmatch(node.id)
            or CONSTANTS_OF_SYMPY.fullmatch(node.id)
            or SYMBOL.fullmatch(node.id)
        )
    if isinstance(node, ast.keyword):
        value = getattr(node.value, "value", None)
        if node.arg == "precision":
            return value == DOUBLE
        return isinstance(value, bool) and bool(ASSUMPTIONS.fullmatch(node.arg or ""))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _is_small_power(node.left, node.right)
    if isinstance(node, ast.Call):
        if not (isinstance(node.func, ast.Name) and FUNCTIONS.fullmatch(node.func.id)):
            return False
        is_power = node.func.id == "Pow"
        return not is_power or (len(node.args) == 2 and _is_small_power(*node.args))
    return isinstance(node, NODES)


def _is_plain_constant(value) -> bool:
    if isinstance(value, str):  # Symbol('s0'), Float('0.5')
        return bool(SYMBOL.fullmatch(value) or re.fullmatch(r"[0-9.]{1,40}", value))
    return isinstance(value, bool) or (
        isinstance(value, int | float) and abs(value) < 2**64
    )


def _is_small_power(base, exponent) -> bool:
    """Whether a symbol is raised to a small number: numbers could grow forever."""
    is_symbol = isinstance(base, ast.Name) or (
        isinstance(base, ast.Call) and getattr(base.func, "id", "") == "Symbol"
    )
    numbers = [n.value for n in ast.walk(exponent) if isinstance(n, ast.Constant)]
    return (
        is_symbol
        and len(numbers) == 1
        and isinstance(numbers[0], int)
        and abs(numbers[0]) <= MAX_POWER
    )
