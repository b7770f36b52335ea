"""The user's own Claude Code as a provider: one process a call, one request a process."""

from helios.providers.claude_code.provider import ClaudeCodeProvider, open_claude_code

__all__ = ["ClaudeCodeProvider", "open_claude_code"]
