"""Java writes letters on a Linux without fonts, too."""

from __future__ import annotations

import subprocess
import sys

import pytest

from retinaj_bridge import fonts

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere Java brings its own way to fonts")

# Java silently falls back to the system's fonts when it cannot use the file, so the test asks which way it took.
WRITE = """
import jpype
from retinaj_bridge.fonts import bundled_font_options
from retinaj_bridge.jvm import java_class, select_java
select_java(window=False)
opened = [f"--add-opens=java.desktop/sun.{name}=ALL-UNNAMED" for name in ("awt", "font")]
jpype.startJVM("-Djava.awt.headless=true", *opened, *bundled_font_options())
image = java_class("java.awt.image.BufferedImage")(100, 30, 1)
graphics = image.createGraphics()
graphics.drawString("Hello", 2, 20)
print(sum(image.getRGB(x, y) & 255 > 127 for x in range(100) for y in range(30)))
print(java_class("sun.font.FontManagerFactory").getInstance().getFontConfiguration().getClass().getSimpleName())
"""


def test_java_writes_in_the_font_that_comes_with_matplotlib() -> None:
    done = subprocess.run([sys.executable, "-c", WRITE], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    white, configuration = done.stdout.split()
    assert int(white) > 20
    assert configuration == "MFontConfiguration"


def test_the_bundled_font_is_used_only_where_the_system_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "system_has_fonts", lambda: True)
    assert fonts.font_options() == []
    monkeypatch.setattr(fonts, "system_has_fonts", lambda: False)
    [option] = fonts.font_options()
    assert option.startswith("-Dsun.awt.fontconfig=")


def test_a_system_without_fontconfig_has_no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(fonts.ctypes, "CDLL", missing)
    assert not fonts.system_has_fonts()
