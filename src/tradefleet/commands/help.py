"""/help: list all commands by group, or say how to write one."""

from dataclasses import dataclass

from tradefleet.command import AnyCommand, CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import NotThere
from tradefleet.domain.user import Role

GROUPS = ("Setup", "Trading", "Info")  # first; others follow by name


@dataclass(frozen=True, slots=True)
class Help:
    command: str = ""


@dataclass(frozen=True, slots=True)
class CommandHelp:
    """How to write one command."""

    name: str
    group: str
    summary: str
    usage: str
    options: str
    example: str
    aliases: tuple[str, ...]
    dangerous: bool


@dataclass(frozen=True, slots=True)
class Commands:
    commands: tuple[CommandHelp, ...]


async def show_help(request: Help, context: Context) -> Reply:
    is_admin = context.registered and context.user.role is Role.ADMIN
    known = [c for c in context.catalog.commands.values() if is_admin or c.role is Role.USER]
    known.sort(key=lambda command: (order_of(command.group), command.place, command.name))
    if request.command:
        command = find(request.command.removeprefix("/").lower(), known)
        lines = [
            f"/{command.name}: {command.summary}",
            f"Usage: {command.usage}",
            *([f"Also: {command.options}"] if command.options else []),
            f"Example: {command.example}",
        ]
        if command.aliases:
            lines.append(f"Short: {', '.join(f'/{alias}' for alias in command.aliases)}")
        return Reply(text="\n".join(lines), data=Commands((described(command),)))
    lines = []
    for command in known:
        if f"{command.group} Commands" not in lines:
            lines += ["", f"{command.group} Commands"]
        lines.append(f"{command.usage} - {command.summary}")
    lines += ["", "/help <command> says more about one."]
    return Reply(text="\n".join(lines[1:]), data=Commands(tuple(map(described, known))))


def find(name: str, known: list[AnyCommand]) -> AnyCommand:
    for command in known:
        if name in (command.name, *command.aliases):
            return command
    raise NotThere("There is no such command; /help lists all.")


def order_of(group: str) -> tuple[int, str]:
    return (GROUPS.index(group) if group in GROUPS else len(GROUPS), group)


def described(command: AnyCommand) -> CommandHelp:
    return CommandHelp(
        name=command.name,
        group=command.group,
        summary=command.summary,
        usage=command.usage,
        options=command.options,
        example=command.example,
        aliases=command.aliases,
        dangerous=command.dangerous or command.dangerous_if is not None,
    )


COMMAND = CommandSpec(
    name="help",
    summary="Show help message",
    usage="/help [command]",
    example="/help addpair",
    request=Help,
    handler=show_help,
    place=10,
    registers=True,
    route=Route("GET", "/help"),
    more_routes=(Route("GET", "/help/{command}"),),
    data=Commands,
)
