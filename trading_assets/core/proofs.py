"""What is put through proofs, each of which says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def refuted[C](proofs: Mapping[str, Callable[[C], str | None]], case: C, *, raised: str = "") -> dict[str, str]:
    """Put a case through all proofs.

    Parameters
    ----------
    proofs
        Name -> what says what is wrong, None where nothing is.
    case
        What is asked; it may be code of a user, so that whatever it raises is what is wrong.
    raised
        What stands before the name of such an error.

    Returns
    -------
    dict
        Proof -> what is wrong, in the order of the proofs; empty where all hold.
    """
    found = {}
    for name, proof in proofs.items():
        try:
            wrong = proof(case)
        except Exception as error:
            wrong = f"{raised}{type(error).__name__}: {error}"
        if wrong is not None:
            found[name] = wrong
    return found
