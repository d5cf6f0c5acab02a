"""The same training as a user of Keras would write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.tensorflow.objective import Data, Objective

_TURNS = 20


def keras_fit(
    network: Any, objective: Objective, data: Data, options: TrainingOptions, turn: Callable[[], None]
) -> None:
    """``compile`` and ``fit``, telling ``turn`` at the beginning and after each twentieth of the steps."""
    import keras
    import tensorflow as tf

    class Bare(keras.Model):  # type: ignore[misc]
        def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:
            loss = objective(y_pred, *y)
            return loss.total / tf.maximum(loss.count, 1.0)

    bare = Bare(network.inputs, network.output)
    optimizer = keras.optimizers.AdamW(options.learning_rate, weight_decay=options.weight_decay, global_clipnorm=10.0)
    bare.compile(optimizer, jit_compile=False)
    told = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: turn(), on_epoch_end=lambda epoch, logs: turn())
    pairs = data.batches(0).map(lambda images, *truth: (images, truth))  # type: ignore[attr-defined]
    bare.fit(pairs, steps_per_epoch=options.steps // _TURNS, epochs=_TURNS, callbacks=[told], shuffle=False, verbose=0)
