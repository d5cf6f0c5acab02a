"""The operations that a brain's program may consist of.

An allow-list: what is not on it may be harmless, but no network of ours needs it. A method that does adds it here,
after making sure that it touches nothing but its inputs. (``WriteFile``, ``ReadFile`` and ``PyFunc`` do.)
"""

from __future__ import annotations

_ARITHMETIC = """
Abs Add AddN AddV2 ArgMax ArgMin Ceil ClipByValue Cumsum Div DivNoNan Equal Erf Exp Expm1 Floor FloorDiv FloorMod
Greater GreaterEqual IsFinite IsInf IsNan LeakyRelu Less LessEqual Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr
Max Maximum Mean Min Minimum Mul Neg NotEqual Pow Prod RealDiv Reciprocal Relu Relu6 Round Rsqrt Select SelectV2
Selu Sigmoid Sign Softmax Softplus Softsign Sqrt Square SquaredDifference Sub Sum Tanh Elu All Any
"""
_LAYERS = """
AvgPool BatchMatMulV2 BatchMatMulV3 BiasAdd Conv2D DepthwiseConv2dNative Einsum FusedBatchNormV3 MatMul MaxPool
MaxPoolV2 ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor CropAndResize CombinedNonMaxSuppression
NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5 TopKV2
"""
_SHAPES = """
BroadcastTo Cast ConcatV2 Const ExpandDims Fill Gather GatherNd GatherV2 Identity IdentityN MirrorPad OneHot
OnesLike Pack Pad PadV2 Placeholder PlaceholderWithDefault PreventGradient Range Rank Reshape ReverseV2 Shape ShapeN
Size Slice SparseToDense Split SplitV Squeeze StopGradient StridedSlice Tile Transpose Unpack Where ZerosLike
"""
_CONTROL = """
If NoOp PartitionedCall ReadVariableOp StatefulPartitionedCall StatelessIf StatelessWhile VarHandleOp While
TensorListFromTensor TensorListGetItem TensorListReserve TensorListSetItem TensorListStack
"""

COMPUTING = frozenset((_ARITHMETIC + _LAYERS + _SHAPES + _CONTROL).split())

# What graphs of TensorFlow 1 need beside: loops made of single operations, arrays in memory, and decoders of images
# that are given as a tensor.
_LEGACY = """
Assert BatchToSpaceND Bitcast ConcatOffset ControlTrigger DecodeBmp DecodeGif DecodeImage DecodeJpeg DecodePng
DepthToSpace DynamicStitch EnsureShape Enter Exit ExtractJpegShape FusedBatchNorm FusedBatchNormV2 InvertPermutation
LRN ListDiff LoopCond Merge NextIteration NonMaxSuppression NonMaxSuppressionV2 ParallelDynamicStitch RefEnter RefExit
RefMerge RefNextIteration RefSwitch Reverse SpaceToBatchND SpaceToDepth StringLength Substr Switch TensorArrayConcatV3
TensorArrayGatherV3 TensorArrayReadV3 TensorArrayScatterV3 TensorArraySizeV3 TensorArraySplitV3 TensorArrayV3
TensorArrayWriteV3 TensorListLength TopK Unique UniqueV2
"""

LEGACY = frozenset(_LEGACY.split())

# What TensorFlow adds to every saved program to write and read the files with its variables.
SAVING = frozenset(
    (
        "AssignVariableOp",
        "DisableCopyOnRead",
        "MergeV2Checkpoints",
        "RestoreV2",
        "SaveV2",
        "ShardedFilename",
        "StaticRegexFullMatch",
        "StringJoin",
    )
)
