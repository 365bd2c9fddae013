"""What Python code says, whatever its comments, docstrings and formatting: for hashes of code that made data."""

from __future__ import annotations

import ast
from functools import lru_cache


@lru_cache(maxsize=128)
def meaning(source: str) -> str:
    """A module's code as a syntax tree, without docstrings and decorators of functions.

    >>> meaning("x = 1  # one") == meaning("x=1")
    True
    """
    tree = ast.parse(source)
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            node.body = [part for part in node.body if not _is_text(part)]
        # definitions stand in statements: expressions, most of the tree, need no look
        pending += [part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.expr)]
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
