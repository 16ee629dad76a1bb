"""The look of both pages as a Gradio theme: local fonts, one accent, no dark variant. The rest is in static/*.css."""

from typing import Any

import gradio as gr
from gradio.themes.utils.fonts import Font

SANS = (
    "Noto Sans SC",
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "system-ui",
    "sans-serif",
)


def theme() -> Any:
    """Gradio's base theme with our names for colours, the same in its dark variant."""
    colours = {
        "body_background_fill": "var(--paper)",
        "body_text_color": "var(--ink)",
        "background_fill_primary": "var(--card)",
        "background_fill_secondary": "var(--paper)",
        "block_background_fill": "transparent",
        "block_label_background_fill": "transparent",
        "block_label_text_color": "var(--ink-soft)",
        "block_title_text_color": "var(--ink-soft)",
        "border_color_primary": "var(--line)",
        "input_background_fill": "var(--card)",
        "input_border_color": "var(--line-strong)",
        "input_border_color_focus": "var(--accent)",
        "input_placeholder_color": "var(--ink-faint)",
        "button_primary_background_fill": "var(--accent)",
        "button_primary_background_fill_hover": "var(--accent-deep)",
        "button_primary_text_color": "#ffffff",
        "button_secondary_background_fill": "var(--card)",
        "button_secondary_background_fill_hover": "var(--accent-wash)",
        "button_secondary_text_color": "var(--ink)",
        "button_secondary_border_color": "var(--line-strong)",
        "color_accent": "var(--accent)",
        "color_accent_soft": "var(--accent-wash)",
    }
    base = gr.themes.Base(
        font=[Font(name) for name in SANS],
        font_mono=[Font("Noto Sans Mono CJK SC"), Font("monospace")],
        radius_size=gr.themes.sizes.radius_md,
        text_size=gr.themes.sizes.text_md,
    )
    dark = {f"{name}_dark": value for name, value in colours.items()}
    return base.set(**colours, **_known(base, dark), block_border_width="0px", block_shadow="none")


def _known(base: Any, values: dict[str, str]) -> dict[str, str]:
    """Those that this version of Gradio has."""
    return {name: value for name, value in values.items() if hasattr(base, name)}
