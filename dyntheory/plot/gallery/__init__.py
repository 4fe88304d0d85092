"""The pictures of the field: closed forms beside plain least squares on random data.

Each has its numbers (`double_descent()`) and its figure (`draw(double_descent())`); `dyntheory closed-form NAME --plot
out.png` is the same from the command line.
"""

from dyntheory.plot.gallery.data import (
    BenignOverfitting,
    DoubleDescent,
    EarlyStopping,
    RandomFeatures,
    benign_overfitting,
    double_descent,
    early_stopping,
    random_features,
)
from dyntheory.plot.gallery.figures import PICTURES, draw, summary

__all__ = [
    "PICTURES",
    "BenignOverfitting",
    "DoubleDescent",
    "EarlyStopping",
    "RandomFeatures",
    "benign_overfitting",
    "double_descent",
    "draw",
    "early_stopping",
    "random_features",
    "summary",
]
