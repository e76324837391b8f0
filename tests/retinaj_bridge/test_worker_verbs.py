"""`open`, `detect` and `recent`, asked as the plugin asks, and as somebody asks who means harm."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_detector import BrightPatches, fake_detector, open_fake, patches
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_packages import boxes_in_rows, write_small_package

from retinaj.colours import class_colour
from retinaj.errors import RetinaJError
from retinaj.prediction.detector import Detector
from retinaj_bridge import recent_models
from retinaj_bridge.models import Models
from retinaj_bridge.recent_models import RecentModel, remember_model
from retinaj_bridge.server import Call, CallCanceledError
from retinaj_bridge.verbs import all_verbs
from retinaj_bridge.wire import Fields, message, read_message


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ".retinaj"
    monkeypatch.setenv("RETINAJ_HOME", str(folder))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "grey mödel [a b] 'c'"
    folder.mkdir()
    (folder / "model.json").write_text("{}")
    return folder


def ask(verb: str, models: Models | None = None, call: Call | None = None, /, **fields: str | bytes) -> Fields:
    """What a verb answers, after the way over the wire."""
    answer = all_verbs(models or Models(open_model=open_fake))[verb](
        {name: value.encode() if isinstance(value, str) else value for name, value in fields.items()}, call or Call()
    )

    class Wire:
        def __init__(self) -> None:
            self.data = message(answer)

        def read(self, count: int, /) -> bytes:
            taken, self.data = self.data[:count], self.data[count:]
            return taken

    found = read_message(Wire(), max_bytes=10**9)
    assert found is not None
    return found


def plane(pixels: NDArray[np.generic], /, **changed: str | bytes) -> dict[str, str | bytes]:
    """The fields of a request for `pixels`."""
    little = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    shape = ",".join(map(str, pixels.shape))
    return {"threshold": "0.4", "type": pixels.dtype.name, "shape": shape, "pixels": little.tobytes()} | changed


class TestOpen:
    def test_what_a_model_is(self, model: Path) -> None:
        answer = ask("open", model=str(model))
        assert answer["name"] == b"fake"
        assert [answer[f"classes.{at}"].decode() for at in range(3)] == ["RBC", "Living Cell", "µ,x"]
        assert answer["colours.1"].decode() == ",".join(map(str, class_colour(1)))
        assert {name: answer[name] for name in ("channels", "floor", "overlap", "limit")} == {
            "channels": b"1",
            "floor": b"0.05",
            "overlap": b"0.5",
            "limit": b"50",
        }

    def test_its_identity_changes_with_its_files(self, model: Path) -> None:
        models = Models(open_model=open_fake)
        first = ask("open", models, model=str(model))["identity"]
        assert ask("open", models, model=str(model / "model.json"))["identity"] == first
        (model / "model.json").write_text("{ }")
        assert ask("open", models, model=str(model))["identity"] != first

    @pytest.mark.parametrize(
        ("path", "complaint"),
        [
            ("", "model is missing"),
            ("   ", "model is missing"),
            ("/nowhere/at all", r"/nowhere/at all does not exist; expected a model folder"),
            ("a\0b", "not an option"),
            (b"\xff\xfe", "not a text"),
            ("~nobody-of-this-name/model", "nobody-of-this-name"),
            ("x" * 3000, "cannot be read: File name too long"),
            ("/" + "x" * 10_000, "10,001 characters"),
            (r"C:\no such\place [1]", r"C:\\no such\\place \[1\] does not exist"),
        ],
    )
    def test_what_is_no_model(self, path: str | bytes, complaint: str) -> None:
        with pytest.raises(RetinaJError, match=complaint):
            ask("open", Models(), model=path)

    @pytest.mark.skipif(os.name != "posix", reason="Windows has no such files")
    def test_what_would_never_end(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "circle").symlink_to(tmp_path / "circle")
        for path in (Path("/dev/zero"), tmp_path / "pipe"):
            with pytest.raises(RetinaJError, match="neither a folder nor a file"):
                ask("open", Models(), model=str(path))
        with pytest.raises(RetinaJError, match="circle"):
            ask("open", Models(), model=str(tmp_path / "circle"))


class TestDetect:
    def test_boxes(self, model: Path) -> None:
        pixels = patches()
        answer = ask("detect", model=str(model), **plane(pixels))
        expected = fake_detector(1).detect(_xarray(pixels), threshold=0.4)
        assert len(expected) == 6
        np.testing.assert_array_equal(np.frombuffer(answer["xyxy"], "<f8").reshape(-1, 4), expected.xyxy)
        np.testing.assert_array_equal(np.frombuffer(answer["score"], "<f8"), expected.score)
        np.testing.assert_array_equal(np.frombuffer(answer["label"], "<i4"), expected.label)
        assert answer["full"] == b"0"
        assert answer["limit_words"].startswith(b"50 boxes, as many as the model can give")

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
    @pytest.mark.parametrize("channels", [0, 3])
    def test_pixel_types(self, tmp_path: Path, dtype: str, channels: int) -> None:
        runtime = _Keeping()
        detector = fake_detector(channels or 1, runtime)
        pixels = np.arange(5 * 7 * max(channels, 1)).reshape((channels, 5, 7) if channels else (5, 7)).astype(dtype)
        ask("detect", Models(open_model=lambda path: detector), model=str(tmp_path), **plane(pixels))
        seen = (runtime.batch[0] + 2) * 64
        np.testing.assert_allclose(seen, np.moveaxis(pixels, 0, -1) if channels else pixels[..., None], atol=1e-4)

    def test_threshold_and_overlap(self, model: Path) -> None:
        pixels = patches()
        all_scores = np.frombuffer(ask("detect", model=str(model), **plane(pixels))["score"], "<f8")
        middle = repr(float(np.median(all_scores)))
        some = np.frombuffer(ask("detect", model=str(model), **plane(pixels, threshold=middle))["score"], "<f8")
        assert 0 < len(some) < len(all_scores)
        other = np.frombuffer(ask("detect", model=str(model), **plane(pixels, overlap="0.1"))["score"], "<f8")
        np.testing.assert_allclose(other - all_scores, 0.004, atol=1e-6)

    @pytest.mark.parametrize("name", ["threshold", "overlap"])
    @pytest.mark.parametrize("value", ["abc", "0", "-1", "1.5", "nan", "inf", "1e999", "0.4; import os", "0" * 5000])
    def test_numbers_are_checked(self, model: Path, name: str, value: str) -> None:
        with pytest.raises(RetinaJError, match=name):
            ask("detect", model=str(model), **plane(patches(), **{name: value}))

    @pytest.mark.parametrize(
        ("changed", "complaint"),
        [
            ({"type": "float64"}, "not an image"),
            ({"type": "object"}, "not an image"),
            ({"type": "U100000000"}, "not an image"),
            ({"type": ""}, "not an image"),
            ({"shape": ""}, "not an image"),
            ({"shape": "60"}, "not an image"),
            ({"shape": "0,80"}, "not an image"),
            ({"shape": "-60,-80"}, "not an image"),
            ({"shape": "1,1,60,80"}, "not an image"),
            ({"shape": "60,80,"}, "not an image"),
            ({"shape": "６０,80"}, "not an image"),
            ({"shape": "9" * 5000}, "not an (image|option)"),
            ({"shape": "4294967296,4294967296"}, "not all there"),
            ({"shape": "9999999999,9999999999,9999999999"}, "not an image|not all there"),
            ({"shape": "80,61"}, "not all there"),
            ({"pixels": b""}, "not all there"),
            ({"type": "uint16"}, "not all there"),
            ({"tiles": "evil"}, "tiles"),
        ],
    )
    def test_shapes_are_checked(self, model: Path, changed: dict[str, str | bytes], complaint: str) -> None:
        with pytest.raises(RetinaJError, match=complaint):
            ask("detect", model=str(model), **plane(patches(), **changed))

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.dictionaries(
            st.sampled_from(["model", "threshold", "overlap", "tiles", "type", "shape", "pixels", "identity", "verb"]),
            st.binary(max_size=40) | st.sampled_from([b"uint8", b"2,2", b"0.5", b"auto", b"....", b"/"]),
        )
    )
    def test_garbage_gives_a_sentence(self, model: Path, fields: dict[str, bytes]) -> None:
        try:
            ask("detect", **{"model": str(model), **fields})
        except RetinaJError as error:
            assert str(error).endswith(".")  # noqa: PT017

    @pytest.mark.filterwarnings("ignore:All-NaN slice")
    def test_one_pixel_and_what_is_no_number(self, tmp_path: Path) -> None:
        package = write_small_package(tmp_path / "p.zip", boxes_in_rows(2, 4), pixel_type="float32")
        models = Models()
        for pixels in (
            np.array([[5]], np.float32),
            np.full((4, 4), np.nan, np.float32),
            np.full((4, 4), np.inf, np.float32),
            np.array([[np.nan, np.inf], [-np.inf, 1]], np.float32),
            np.full((4, 4), 3e38, np.float32),
        ):
            with np.errstate(all="ignore"):
                answer = ask("detect", models, model=str(package), **plane(pixels))
            assert np.isfinite(np.frombuffer(answer["xyxy"], "<f8")).all()
        grey = Models(open_model=lambda path: fake_detector(1))
        with pytest.raises(RetinaJError, match="The image is float32 with values from nan"):
            ask("detect", grey, model=str(tmp_path), **plane(np.full((4, 4), np.nan, np.float32)))

    def test_a_wrong_number_of_channels(self, model: Path) -> None:
        with pytest.raises(RetinaJError, match="has 2 channels, but the model was trained on images with 1"):
            ask("detect", model=str(model), **plane(np.zeros((2, 5, 5), np.uint8)))

    def test_a_model_that_was_replaced_is_opened_again_or_refused(self, model: Path) -> None:
        found = [fake_detector(1), fake_detector(1)]
        models = Models(open_model=lambda path: found.pop(0))
        identity = ask("open", models, model=str(model))["identity"]
        ask("detect", models, model=str(model), **plane(patches(), identity=identity))
        (model / "model.json").write_text("{  }")
        with pytest.raises(RetinaJError, match=r"was changed while it was in use: run the command again\.$"):
            ask("detect", models, model=str(model), **plane(patches(), identity=identity))
        ask("detect", models, model=str(model), **plane(patches()))
        assert not found

    def test_a_canceled_call_does_not_begin(self, tmp_path: Path) -> None:
        runtime, call = BrightPatches(), Call()
        call.canceled.set()
        models = Models(open_model=lambda path: fake_detector(1, runtime))
        with pytest.raises(CallCanceledError):
            ask("detect", models, call, model=str(tmp_path), **plane(patches()))
        assert not runtime.calls


class TestTiles:
    def test_tiles_are_told_and_give_the_same_boxes(self, tmp_path: Path) -> None:
        pixels, call = patches(height=1400, width=2600, count=30), Call()
        models = Models(open_model=lambda path: fake_detector(1))
        whole = ask("detect", models, model=str(tmp_path), **plane(pixels, tiles="none"))
        cut = ask("detect", models, call, model=str(tmp_path), **plane(pixels, tiles="1280"))
        expected, found = (
            {tuple(box) for box in np.frombuffer(answer["xyxy"], "<f8").reshape(-1, 4)} for answer in (whole, cut)
        )
        assert len(expected) > 20
        assert found == expected
        reports = [call.reports.get() for _ in range(call.reports.qsize())]
        assert (0.0, "tile 1 of 8") in reports
        assert reports[-1] == (1.0, "tile 8 of 8")

    def test_canceled_at_the_next_tile(self, tmp_path: Path) -> None:
        call = Call()

        class Canceling(BrightPatches):
            def __call__(self, batch: NDArray[np.float32], overlap: float) -> NDArray[np.float32]:
                call.canceled.set()
                return super().__call__(batch, overlap)

        runtime = Canceling()
        models = Models(open_model=lambda path: fake_detector(1, runtime))
        with pytest.raises(CallCanceledError):
            ask("detect", models, call, model=str(tmp_path), **plane(np.zeros((1400, 2600), np.uint8), tiles="1280"))
        assert len(runtime.calls) == 1

    @pytest.mark.parametrize("tiles", ["0", "-5", "1e3", "64", "all", "²", "9" * 4000])
    def test_what_is_no_choice(self, model: Path, tiles: str) -> None:
        with pytest.raises(RetinaJError, match="tiles is"):
            ask("detect", model=str(model), **plane(np.zeros((70, 70), np.uint8), tiles=tiles))


class _Keeping(BrightPatches):
    batch: NDArray[np.float32]

    def __call__(self, batch: NDArray[np.float32], overlap: float) -> NDArray[np.float32]:
        self.batch = batch
        return super().__call__(batch, overlap)


def _xarray(pixels: NDArray[np.uint8]):
    import xarray as xr

    return xr.DataArray(pixels, dims=("y", "x"))


class TestModelsThatChange:
    """A model that is being replaced: the old one, the new one, or a sentence, but never a mixture."""

    def test_half_a_package(self, tmp_path: Path) -> None:
        whole = write_small_package(tmp_path / "whole.zip", boxes_in_rows(2, 4)).read_bytes()
        half = tmp_path / "half.zip"
        for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
            half.write_bytes(whole[:size])
            with pytest.raises(RetinaJError, match=r"half\.zip"):
                Models().open(half)
        half.write_bytes(whole)
        assert Models().open(half).name == "Small package"

    def test_half_a_model_folder(self, tmp_path: Path) -> None:
        from tiny_models import tiny_record

        folder = tmp_path / "model"
        folder.mkdir()
        with pytest.raises(RetinaJError, match=r"folder without model\.json"):
            Models().open(folder)
        text = tiny_record(1, "uint8").model_dump_json()
        (folder / "model.json").write_text(text[: len(text) // 2])
        with pytest.raises(RetinaJError, match=r"model\.json"):
            Models().open(folder)
        (folder / "model.json").write_text(text)
        with pytest.raises(RetinaJError, match="weights"):
            Models().open(folder)
        (folder / "model.weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
        with pytest.raises(RetinaJError, match="weights"):
            Models().open(folder)

    def test_changed_while_it_was_read(self, model: Path) -> None:
        seen: list[str] = []

        def open_changing(path: Path) -> Detector:
            seen.append((path / "model.json").read_text())
            if len(seen) < 3:
                (path / "model.json").write_text("{" + " " * len(seen) + "}")
            if len(seen) == 2:
                raise RetinaJError("weights and model.json do not belong together.")
            return fake_detector(1)

        opened = Models(open_model=open_changing).opened(model)
        assert seen == ["{}", "{ }", "{  }"]
        assert opened.path == model

    def test_changing_all_the_time(self, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("retinaj_bridge.models._PAUSES", (0.01, 0.01))
        count = iter(range(1000))

        def open_changing(path: Path) -> Detector:
            (path / "model.json").write_text(" " * next(count))
            return fake_detector(1)

        with pytest.raises(RetinaJError, match=r"is being written just now: wait until it is whole, then run this again\.$"):
            Models(open_model=open_changing).open(model)

    def test_gone_while_it_was_read(self, model: Path) -> None:
        def open_vanishing(path: Path) -> Detector:
            shutil.rmtree(path)
            raise FileNotFoundError(2, "No such file or directory", str(path / "model.weights.h5"))

        with pytest.raises(RetinaJError, match="does not exist"):
            Models(open_model=open_vanishing).open(model)

    def test_a_file_that_cannot_be_read(self, model: Path) -> None:
        def open_failing(path: Path) -> Detector:
            raise PermissionError(13, "Permission denied", str(path / "model.weights.h5"))

        with pytest.raises(RetinaJError, match="cannot be read: Permission denied"):
            Models(open_model=open_failing).open(model)


class TestRecent:
    def test_the_last_one_comes_first(self, tmp_path: Path, model: Path, home: Path) -> None:
        assert ask("recent") == {"models": b"0", "names": b"0"}
        other = tmp_path / "grey other"
        other.mkdir()
        pixels = plane(patches())
        for path in (model, other, model / "model.json"):
            ask("detect", model=str(path), **pixels)
        answer = ask("recent")
        assert (answer["models"], answer["models.0"].decode(), answer["models.1"].decode()) == (b"2", str(model), str(other))
        assert answer["names.0"] == b"fake"
        if os.name == "posix":
            assert (home / "recent.json").stat().st_mode & 0o777 == 0o600

    def test_a_model_on_trial_is_not_remembered(self, model: Path) -> None:
        ask("detect", model=str(model), trial="1", **plane(patches()))
        assert ask("recent") == {"models": b"0", "names": b"0"}

    def test_models_that_do_not_open_are_not_remembered(self, tmp_path: Path) -> None:
        with pytest.raises(RetinaJError):
            ask("open", Models(), model=str(tmp_path))
        assert ask("recent")["models"] == b"0"

    def test_missing_ones_are_left_out_and_come_back(self, model: Path, tmp_path: Path) -> None:
        ask("open", model=str(model))
        model.rename(tmp_path / "elsewhere")
        assert ask("recent")["models"] == b"0"
        (tmp_path / "elsewhere").rename(model)
        assert ask("recent")["models"] == b"1"

    def test_they_are_bounded(self, tmp_path: Path) -> None:
        for at in range(25):
            remember_model(tmp_path / str(at), "m")
        entries = json.loads((tmp_path / ".retinaj" / "recent.json").read_text())
        assert [Path(entry["path"]).name for entry in entries] == [str(at) for at in range(24, 4, -1)]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "null",
            "7",
            '{"path": 1}',
            '[1, null, {"path": 3}, {"path": "a"}]',
            "[" * 50_000,
            '[{"path":"\\u0000","name":"x"}]',
        ],
    )
    def test_a_damaged_list_is_begun_anew(self, home: Path, model: Path, text: str) -> None:
        home.mkdir(mode=0o700)
        (home / "recent.json").write_text(text)
        assert ask("recent")["models"] == b"0"
        ask("open", model=str(model))
        assert ask("recent")["models.0"].decode() == str(model)

    def test_a_full_disk_does_not_stop_a_detection(self, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(path: Path, text: str) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(recent_models, "write_private", fail)
        assert ask("open", model=str(model))["name"] == b"fake"

    def test_a_home_of_others_does_not_stop_a_detection(self, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RETINAJ_HOME", str(model / "model.json"))
        assert ask("open", model=str(model))["name"] == b"fake"

    def test_written_only_when_it_changes(self, model: Path, home: Path) -> None:
        ask("open", model=str(model))
        before = (home / "recent.json").stat()
        ask("detect", model=str(model), **plane(patches()))
        assert (home / "recent.json").stat().st_ino == before.st_ino

    def test_from_threads(self, tmp_path: Path, home: Path) -> None:
        threads = [threading.Thread(target=remember_model, args=(tmp_path / str(at), "m")) for at in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(json.loads((home / "recent.json").read_text())) == 12
        assert {path.name for path in home.iterdir()} == {"recent.json"}
        assert RecentModel(tmp_path / "3", "m") in recent_models._read()


def test_two_that_open_at_once_open_once(model: Path) -> None:
    opened: list[Path] = []

    def open_slowly(path: Path) -> Detector:
        opened.append(path)
        time.sleep(0.1)
        return fake_detector(1)

    models = Models(open_model=open_slowly)
    found: list[Detector] = []
    ask_: Callable[[], None] = lambda: found.append(models.open(model))  # noqa: E731
    threads = [threading.Thread(target=ask_) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1
    assert len({id(detector) for detector in found}) == 1
