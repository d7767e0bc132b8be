"""Studies: experiments with many parts, each a command that can be stopped and continued."""
