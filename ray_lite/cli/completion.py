"""Scripts that let shells complete `ray-lite`: `eval "$(ray-lite completion bash)"`."""

from __future__ import annotations

COMMANDS = "status errors logs memory ps stack completion"
OPTIONS = "--address --json --watch --follow --most --help --version"

SCRIPTS = {
    "bash": f'complete -W "{COMMANDS} {OPTIONS}" ray-lite',
    "zsh": f'compdef \'_arguments "*: :({COMMANDS} {OPTIONS})"\' ray-lite',
    "fish": f'complete -c ray-lite -f -a "{COMMANDS} {OPTIONS}"',
}
