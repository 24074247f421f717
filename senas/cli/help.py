"""Help texts of the commands: arguments by their names, and where the documentation is."""

from typing import Any

from typer.core import TyperArgument, TyperCommand

_WHERE = "Documentation: docs/ in the source of senas, a site by `make docs`."


class HelpCommand(TyperCommand):
    """Command whose help shows an argument as `SPACE`, where Typer's shows `{SPACE}` and `SPACE <str>`."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the usage line."""
        names = [each.display_name_raw for each in self.params if isinstance(each, TyperArgument)]
        formatter.write_usage(ctx.command_path, " ".join(["[OPTIONS]", *names]))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options."""
        parameters = self.get_params(ctx)
        arguments = [each for each in parameters if isinstance(each, TyperArgument)]
        options = [each.get_help_record(ctx) for each in parameters if each not in arguments]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl([(each.display_name_raw, each.help or "") for each in arguments])
        with formatter.section("Options"):
            formatter.write_dl([record for record in options if record is not None])


def where_described(name: str = "senas") -> str:
    """Return the end of a help text: how to read of a name of the Python API, and where the documentation is."""
    return f"In Python: help({name}). {_WHERE}"
