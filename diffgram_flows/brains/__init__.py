"""Brains: train, evaluate, register, promote, roll back, predict, draw.

A brain is a trained model with everything that is needed to use and to question it: the network, the label map, what
it was trained on, and how good it was. Its versions lie in a :class:`Registry` and never change; one of them is the
champion. Ways of learning are plugged in as :class:`Method`; TensorFlow is imported when one is used, not before.
"""

from diffgram_flows.brains.champions import Promotion
from diffgram_flows.brains.drawing import before_after, contact_sheet, draw, draw_over
from diffgram_flows.brains.evaluation import (
    RECALLS,
    ClassificationEvaluation,
    ClassScore,
    DetectionEvaluation,
    Evaluation,
    Interval,
    SegmentationEvaluation,
    evaluate,
    evaluate_classification,
    evaluate_segmentation,
    pictures_of,
    sample_key,
)
from diffgram_flows.brains.freezing import class_numbers, freeze
from diffgram_flows.brains.gate import Gate
from diffgram_flows.brains.legacy import convert_legacy, load_legacy
from diffgram_flows.brains.methods import METHODS, Method, Model, Trained, find_method
from diffgram_flows.brains.objects import PredictedObjects, predict_objects
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.plots import loss_curve, precision_recall
from diffgram_flows.brains.prediction import Brain, predict_many
from diffgram_flows.brains.promotion import judge, settle
from diffgram_flows.brains.recency import WindowScore
from diffgram_flows.brains.records import BrainRecord, Epoch, Manifest
from diffgram_flows.brains.registry import Registry
from diffgram_flows.brains.results import read_predictions, write_predictions
from diffgram_flows.brains.thresholds import best_threshold
from diffgram_flows.brains.tiling import Tiling
from diffgram_flows.brains.training import check_judging, options_for, starting_from, train_brain
from diffgram_flows.brains.verdict import Plate, Report, Verdict

__all__ = [
    "METHODS",
    "RECALLS",
    "Brain",
    "BrainRecord",
    "ClassScore",
    "ClassificationEvaluation",
    "DetectionEvaluation",
    "Epoch",
    "Evaluation",
    "Gate",
    "Interval",
    "Manifest",
    "Method",
    "Model",
    "Plate",
    "PredictedObjects",
    "Promotion",
    "Registry",
    "Report",
    "SegmentationEvaluation",
    "Trained",
    "Tiling",
    "TrainingOptions",
    "Verdict",
    "WindowScore",
    "before_after",
    "best_threshold",
    "check_judging",
    "class_numbers",
    "contact_sheet",
    "convert_legacy",
    "draw",
    "draw_over",
    "evaluate",
    "evaluate_classification",
    "evaluate_segmentation",
    "find_method",
    "freeze",
    "judge",
    "load_legacy",
    "loss_curve",
    "options_for",
    "pictures_of",
    "precision_recall",
    "predict_many",
    "predict_objects",
    "sample_key",
    "settle",
    "starting_from",
    "read_predictions",
    "train_brain",
    "write_predictions",
]
