"""Scripts that let shells complete `ray-lite`: `eval "$(ray-lite completion bash)"`."""

from __future__ import annotations

SHELLS = {
    "bash": 'complete -W "{words}" ray-lite',
    "zsh": """compdef '_arguments "*: :({words})"' ray-lite""",
    "fish": 'complete -c ray-lite -f -a "{words}"',
}


def script(shell: str, words: list[str]) -> str:
    """The script for a shell. `words`: commands and options."""
    return SHELLS[shell].format(words=" ".join(words))
