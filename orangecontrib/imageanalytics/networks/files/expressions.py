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
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.Mod,
    ast.Pow,
    ast.unaryop,
    ast.cmpop,
)
TEXTUAL = ("Symbol", "Float", "Integer")  # take a text
MANY = ("Max", "Min")  # which sympy compares with each other
MAX_EXPRESSION = 5000
MAX_NODES = 400
MAX_COMPARED = 8
MAX_POWER = 16
MAX_POWERS = 4
DOUBLE = 53  # bits of a float's mantissa


def is_plain_arithmetic(text: str) -> bool:
    """Whether an expression is safe to evaluate: sympy does so as Python code."""
    if len(text) > MAX_EXPRESSION or not CHARACTERS.fullmatch(text):
        return False
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval")))
        return (
            len(nodes) <= MAX_NODES
            and sum(map(_is_power, nodes)) <= MAX_POWERS
            and not _has_stray_text(nodes)
            and all(map(_is_plain, nodes))
        )
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
    if isinstance(node, ast.BinOp):
        return not _is_power(node) or _is_small_power(node.left, node.right)
    if isinstance(node, ast.Call):
        return _is_plain_call(node)
    return isinstance(node, NODES)


def _is_plain_call(node) -> bool:
    name = getattr(node.func, "id", "")
    if not FUNCTIONS.fullmatch(name):
        return False
    if name in MANY and len(node.args) > MAX_COMPARED:
        return False
    if name == "Pow":
        return len(node.args) == 2 and _is_small_power(*node.args)
    return True


def _is_power(node) -> bool:
    is_call = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Pow"
    return is_call or isinstance(getattr(node, "op", None), ast.Pow)


def _is_plain_constant(value) -> bool:
    if isinstance(value, str):  # Symbol('s0'), Float('0.5')
        return bool(SYMBOL.fullmatch(value) or re.fullmatch(r"[0-9.]{1,40}", value))
    return isinstance(value, bool) or (
        isinstance(value, int | float) and abs(value) < 2**64
    )


def _is_small_power(base, exponent) -> bool:
    """Whether what has a symbol is raised to a small number: numbers could grow."""
    names = [node for node in ast.walk(base) if _is_symbol(node)]
    numbers = [n.value for n in ast.walk(exponent) if isinstance(n, ast.Constant)]
    return (
        bool(names)
        and len(numbers) == 1
        and isinstance(numbers[0], int)
        and abs(numbers[0]) <= MAX_POWER
    )


def _is_symbol(node) -> bool:
    name = getattr(node, "id", getattr(node, "value", None))
    return isinstance(name, str) and bool(SYMBOL.fullmatch(name))


def _has_stray_text(nodes) -> bool:
    """Whether a text is anywhere but alone in parentheses, as in Symbol('s0')."""
    right = [
        node.args[0]
        for node in nodes
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in TEXTUAL
        and len(node.args) == 1
    ]
    return any(
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and not any(node is text for text in right)
        for node in nodes
    )
