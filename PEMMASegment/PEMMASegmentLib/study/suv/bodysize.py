"""Lean body mass, ideal body weight and body surface: the way back from other SUV kinds to body weight (DICOM 1.7)."""

from collections.abc import Callable
from dataclasses import dataclass

from ...core import PemmaError

#: kind -> (male, female) mass in kg of weight w (kg) and height h (cm)
MASSES: dict[str, tuple[Callable[[float, float], float], Callable[[float, float], float]]] = {
    "LBM": (lambda w, h: 1.10 * w - 120 * (w / h) ** 2, lambda w, h: 1.07 * w - 148 * (w / h) ** 2),
    "LBMJAMES128": (lambda w, h: 1.10 * w - 128 * (w / h) ** 2, lambda w, h: 1.07 * w - 148 * (w / h) ** 2),
    "LBMJANMA": (lambda w, h: 9270 * w / (6680 + 216 * _bmi(w, h)), lambda w, h: 9270 * w / (8780 + 244 * _bmi(w, h))),
    "IBW": (lambda w, h: 48.0 + 1.06 * (h - 152), lambda w, h: 45.5 + 0.91 * (h - 152)),
}


@dataclass(frozen=True)
class Body:
    """weight in kg, height in m, sex "M", "F" or "O" (the mean of both formulas)."""

    weight_kg: float
    height_m: float
    sex: str


def factor_to_body_weight(kind: str, body: Body) -> float:
    """What an SUV of this kind is multiplied by to give SUVbw. Refuses a body for which the formula has no sense."""
    height_cm = 100 * body.height_m
    if kind == "BSA":
        surface_m2 = 0.007184 * height_cm**0.725 * body.weight_kg**0.425
        return 1000 * body.weight_kg / (1e4 * surface_m2)
    male, female = (formula(body.weight_kg, height_cm) for formula in MASSES[kind])
    mass = {"M": male, "F": female, "O": (male + female) / 2}[body.sex]
    if not 0.2 * body.weight_kg < mass < 2 * body.weight_kg:
        raise PemmaError(
            "body-size",
            f"the formula for SUV type {kind} gives no possible mass for this weight and height",
            "use a series in SUV by body weight or in Bq/ml",
            "(0054,1006)",
        )
    return body.weight_kg / mass


def _bmi(weight_kg: float, height_cm: float) -> float:
    return weight_kg / (height_cm / 100) ** 2
