"""The devices that train one model together: one, several of this machine, or those of several machines.

Each holds a copy of the weights and learns from its share of the batch; what the shares cost and their gradients are summed up
over all of them, so that every copy takes the step that one device would have taken with the whole batch.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinaj.counting import counted
from retinaj.errors import RetinaJError
from retinaj.network.untyped import tf
from retinaj.training.cluster import LOST, Cluster, meet, this_cluster, watched, without_cluster


class Replicas:
    """The devices of a run.

    Attributes:
        count: how many there are, all machines together.
        machines: how many machines.
        machine: which of them this is, from 0; the first decides and writes, the others follow.
    """

    def __init__(self, strategy: Any = None, cluster: Cluster | None = None) -> None:
        self._strategy, self._cluster = strategy, cluster
        self.count: int = 1 if strategy is None else strategy.num_replicas_in_sync
        self.machines = len(cluster.addresses) if cluster else 1
        self.machine = cluster.index if cluster else 0
        self._local = self.count // self.machines

    @property
    def leads(self) -> bool:
        """Whether this machine decides and writes."""
        return self.machine == 0

    def scope(self) -> AbstractContextManager[Any]:
        """Networks and optimisers that are made in this block are there on each device."""
        return nullcontext() if self._strategy is None else self._strategy.scope()

    def shares(self, batch_size: int) -> list[slice]:
        """Which windows of a batch each device of this machine learns from; they differ by one at most.

        Raises:
            RetinaJError: if there are more devices than windows.
        """
        if batch_size < self.count:
            raise RetinaJError(
                f"A batch of {counted(batch_size, 'window')} cannot be shared by {counted(self.count, 'device')}. Train with "
                f"--batch-size {self.count} or more, or on fewer devices with --devices."
            )
        ends = [batch_size * index // self.count for index in range(self.count + 1)]
        first = self.machine * self._local
        return [slice(ends[index], ends[index + 1]) for index in range(first, first + self._local)]

    def share(self, batch_size: int) -> slice:
        """Which windows of a batch this machine learns from."""
        shares = self.shares(batch_size)
        return slice(shares[0].start, shares[-1].stop)

    def split(self, batch: Sequence[Any], batch_size: int) -> tuple[Any, ...]:
        """This machine's share of a batch, divided among its devices, as arguments for `run`.

        Args:
            batch: tensors of a common first axis.
            batch_size: windows in the batch of all machines.

        Returns:
            For each device the position of its first window in the batch of all machines, int32, and its part of each tensor.
        """
        if self._strategy is None:
            return tf.constant(0), *batch
        shares = self.shares(batch_size)
        began = shares[0].start

        def part(context: Any) -> tuple[Any, ...]:
            mine = shares[context.replica_id_in_sync_group - self.machine * self._local]
            return tf.constant(mine.start), *(each[mine.start - began : mine.stop - began] for each in batch)

        return self._strategy.experimental_distribute_values_from_function(part)

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Call a function on each device, and return what the first device of this machine got; within a tf.function.

        Args:
            function: may use `sum`, `mean` and `whole`, and change weights: each device changes its own copy.
            arguments: of `split`, or the same for all devices.
        """
        if self._strategy is None:
            return function(*arguments)
        results = self._strategy.run(function, args=arguments)
        return tf.nest.map_structure(lambda each: self._strategy.experimental_local_results(each)[0], results)

    def sum(self, values: Any) -> Any:
        """The sum over all devices of a tensor or a list of them; within `run`."""
        return values if self._strategy is None else tf.distribute.get_replica_context().all_reduce("SUM", values)

    def mean(self, values: Any) -> Any:
        """The mean over all devices of a tensor or a list of them; within `run`."""
        return values if self._strategy is None else tf.distribute.get_replica_context().all_reduce("MEAN", values)

    def whole(self, share: Any, first: Any, batch_size: int) -> Any:
        """[batch_size], a value for each window of the whole batch, from those of each device's share; within `run`."""
        if self._strategy is None:
            return share
        return self.sum(tf.pad(share, [[first, batch_size - first - tf.shape(share)[0]]]))

    def told(self, data: bytes) -> bytes:
        """What the first machine says, on all of them; the others' `data` is not looked at. Returns when all have called it."""
        if self.machines == 1:
            return data
        # An empty sum would crash TensorFlow.
        size = int(self._host_sum(np.array([len(data) if self.leads else 0], np.int64))[0])
        if not size:
            return b""
        buffer = np.zeros(-(-size // 8) * 8, np.uint8)
        if self.leads:
            buffer[:size] = np.frombuffer(data, np.uint8)
        return self._host_sum(buffer.view(np.int64)).tobytes()[:size]

    def _host_sum(self, array: NDArray[np.int64]) -> NDArray[np.int64]:
        def once(context: Any) -> Any:
            first = context.replica_id_in_sync_group == self.machine * self._local
            return tf.constant(array if first else np.zeros_like(array))

        values = self._strategy.experimental_distribute_values_from_function(once)
        return self._strategy.reduce("SUM", values, axis=None).numpy()

    def lost(self, error: Exception) -> RetinaJError | None:
        """What to tell the user of an error that came of another machine's end; None of any other error."""
        gone = isinstance(error, tf.errors.UnavailableError) or "ollective ops is aborted" in str(error)
        return RetinaJError(LOST) if self.machines > 1 and gone else None

    @contextmanager
    def explained(self) -> Generator[None]:
        """Another machine's end within the block is told as such."""
        try:
            with watched(self._cluster):
                yield
        except tf.errors.OpError as error:
            lost = self.lost(error)
            if lost is None:
                raise
            raise lost from error


_joined: Replicas | None = None


def join_machines(say: Callable[[str], None], devices: int | None = None) -> Replicas | None:
    """Join the other machines that TF_CONFIG names, once for a program: a second call gives the same. None if it names none.

    TensorFlow can do this only before anything else: call it before a network is made or loaded.

    Args:
        say: tells the user for whom we wait.
        devices: GPUs to use of each machine; default: all.

    Raises:
        RetinaJError: if TF_CONFIG is wrong, a machine does not come, or TensorFlow was used before.
    """
    global _joined
    cluster = this_cluster()
    if cluster is None or _joined is not None:
        return _joined
    _require_devices(devices, gpus := tf.config.list_physical_devices("GPU"))
    try:
        if devices is not None:
            tf.config.set_visible_devices(gpus[:devices], "GPU")
        meet(cluster, say)
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise RetinaJError(
            "TF_CONFIG is set, but this program has used TensorFlow before it joined the other machines. Call "
            f"retinaj.training.replicas.join_machines first, or unset TF_CONFIG to train on this machine alone ({error})."
        ) from error
    _catch_again(signal.SIGTERM)
    _joined = Replicas(strategy, cluster)
    return _joined


def find_replicas(devices: int | None, batch_size: int, say: Callable[[str], None]) -> Replicas:
    """The devices of this machine to train on: its GPUs, or its processor.

    Args:
        devices: how many; default: all, but no more than there are windows in a batch.
        batch_size: windows in a batch.
        say: tells the user what was decided, where it is not plain.

    Raises:
        RetinaJError: if there are not so many, or more than windows in a batch.
    """
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    _require_devices(devices, found)
    count = devices or min(len(found), batch_size)
    if devices is None and count < len(found):
        say(
            f"Note: training on {count} of {len(found)} GPUs, one for each window of a batch; --batch-size {len(found)} uses "
            "all."
        )
    if count == 1:
        return Replicas()
    with without_cluster():
        replicas = Replicas(tf.distribute.MirroredStrategy([device.name for device in found[:count]]))
    replicas.shares(batch_size)
    return replicas


def _require_devices(devices: int | None, found: Sequence[Any]) -> None:
    if devices is not None and not 1 <= devices <= max(len(found), 1):
        raise RetinaJError(
            f"--devices is {devices}, but {counted(len(found), 'GPU')} can be used here. Give no more, or leave the option out "
            "to use all."
        )


def _catch_again(number: signal.Signals) -> None:
    """TensorFlow takes this signal for itself when machines join; give it back to who had it."""
    if threading.current_thread() is threading.main_thread() and (handler := signal.getsignal(number)) is not None:
        signal.signal(number, handler)
