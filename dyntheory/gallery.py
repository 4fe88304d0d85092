"""The pictures of the field: the public door of `dyntheory.plot.gallery`."""

from dyntheory.plot.gallery import (
    PICTURES,
    BenignOverfitting,
    DoubleDescent,
    EarlyStopping,
    RandomFeatures,
    benign_overfitting,
    double_descent,
    draw,
    early_stopping,
    random_features,
    summary,
)

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
