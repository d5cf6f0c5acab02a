"""How good predictions are, one file a kind of prediction.

All kinds share :class:`Evaluation`: a metric to compare by, a value a class, and the evidence image by image, from
which the uncertainty of a comparison is computed.
"""

from diffgram_flows.brains.evaluation.base import ClassResult, Evaluation, Evidence, draw_of, pictures_of, sample_key
from diffgram_flows.brains.evaluation.bootstrap import REPLICATES, Interval, difference
from diffgram_flows.brains.evaluation.calibration import Bin, Calibration, calibrate
from diffgram_flows.brains.evaluation.classification import (
    ClassificationEvaluation,
    TagScore,
    evaluate_classification,
)
from diffgram_flows.brains.evaluation.coco import RECALLS, CocoScores, coco_scores
from diffgram_flows.brains.evaluation.confusion import NOTHING, Confusion, Inspection
from diffgram_flows.brains.evaluation.detection import ClassScore, DetectionEvaluation, evaluate
from diffgram_flows.brains.evaluation.segmentation import AreaScore, SegmentationEvaluation, evaluate_segmentation

__all__ = [
    "NOTHING",
    "RECALLS",
    "Bin",
    "Calibration",
    "ClassResult",
    "ClassScore",
    "CocoScores",
    "Confusion",
    "DetectionEvaluation",
    "Evaluation",
    "Evidence",
    "Inspection",
    "calibrate",
    "coco_scores",
    "draw_of",
    "evaluate",
    "pictures_of",
    "sample_key",
    "REPLICATES",
    "Interval",
    "difference",
    "ClassificationEvaluation",
    "TagScore",
    "evaluate_classification",
    "AreaScore",
    "SegmentationEvaluation",
    "evaluate_segmentation",
]
