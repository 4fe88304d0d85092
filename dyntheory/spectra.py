"""Spectra of correlated features: the public door of `dyntheory.problem.laws.spectra`."""

from dyntheory.problem.laws.spectra import Spectrum, power_law, spectrum_of, two_level

__all__ = ["Spectrum", "power_law", "spectrum_of", "two_level"]
