"""Memories: Hopfield networks, and multi-user detection as their twin."""

from dyntheory.flows.memory.dense import DenseCapacity, dense_capacity, dense_overlap, exponential_capacity
from dyntheory.flows.memory.detectors import (
    DetectionLines,
    LinearDetection,
    detection_lines,
    linear_detector,
    matched_filter,
)
from dyntheory.flows.memory.hopfield_lines import Capacity, PhaseLines, capacity, phase_lines
from dyntheory.flows.memory.recall import hopfield, multi_user
from dyntheory.flows.memory.results import FixedPoints, RecallPath, RecallRuns, Solution

__all__ = [
    "Capacity",
    "DenseCapacity",
    "DetectionLines",
    "FixedPoints",
    "LinearDetection",
    "PhaseLines",
    "RecallPath",
    "RecallRuns",
    "Solution",
    "capacity",
    "dense_capacity",
    "dense_overlap",
    "detection_lines",
    "exponential_capacity",
    "hopfield",
    "linear_detector",
    "matched_filter",
    "multi_user",
    "phase_lines",
]
