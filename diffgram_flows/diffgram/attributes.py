"""Attributes: the questions that annotators answer about an instance (contract section 4)."""

from __future__ import annotations

from collections.abc import Sequence

from diffgram_flows.diffgram.records import parse, parse_all
from diffgram_flows.diffgram.resource import Resource, part
from diffgram_flows.diffgram.setup_records import AttributeGroup, AttributeOption
from diffgram_flows.errors import InvalidRequest

_NEW_GROUP = "attribute/group/new"  # 10 a day
_WITHOUT_OPTIONS = frozenset({"text", "slider", "date", "time"})


class AttributeCalls(Resource):
    """Calls about attribute groups, which are the questions, and their options, which are the answers."""

    def attribute_groups(self, schema_id: int) -> list[AttributeGroup]:
        """The attribute groups of a schema with their options, nameless ones included.

        The server does not tell which labels a group belongs to.
        """
        about = f"the attributes of schema {schema_id}"
        body = {"schema_id": schema_id, "mode": "from_project"}
        reply = self._ask(self._path("attribute/template/list"), about, body)
        return parse_all(AttributeGroup, part(reply, "attribute_group_list", about=about), about)

    def ensure_attribute_group(
        self,
        schema_id: int,
        name: str,
        *,
        prompt: str = "",
        kind: str = "select",
        options: Sequence[str] = (),
        label_file_ids: Sequence[int] = (),
        is_global: bool = False,
    ) -> AttributeGroup:
        """The attribute group of exactly this name with at least these options; only what is missing is made.

        The server never checks for twins, and allows 10 new groups a day. Making one takes a call for an empty group,
        a call that names it, and a call for every option. A crash after the first leaves a group without a name and
        without options: such a leftover is taken and named instead of making another one. Somebody else may do the
        same at the same moment, and the later name wins: so the list is read again afterwards, and the one whose name
        was lost makes a group of its own.

        A group that exists keeps its prompt, its kind and its labels; only options are added.

        Args:
            schema_id: The label schema.
            name: Its name, and what is looked for. Of twins the oldest counts.
            prompt: The question that people read; the name if it is empty.
            kind: ``select``, ``text``, ``multiple_select``, ``radio``, ``slider``, ``date``, ``time``; the first two
                were recorded.
            options: The answers to choose from; none for ``text`` and the like.
            label_file_ids: The labels whose instances are asked.
            is_global: Whether the question is about the whole file.

        Raises:
            InvalidRequest: A group of this name has another kind, or the input makes no sense.
            BudgetExhausted, RateLimited: The 10 new groups of this day are made.
        """
        about = f"the attribute group {name!r} in schema {schema_id}"
        wanted = list(dict.fromkeys(options))
        _refuse_nonsense(name, kind, wanted, about)
        groups = self.attribute_groups(schema_id)
        found = _oldest(groups, name)
        if found is None:
            leftover = _oldest([group for group in groups if _untouched(group)], "")
            group_id = leftover.id if leftover is not None else self._new_group(schema_id, about)
            settings = {
                "mode": "UPDATE",
                "name": name,
                "prompt": prompt or name,
                "kind": kind,
                "is_global": is_global,
                "global_type": "file",
                "label_file_list": [{"id": label_file_id} for label_file_id in label_file_ids],
            }
            self._name_group(group_id, settings, about)
            found = _oldest(self.attribute_groups(schema_id), name)
            if found is None:  # somebody else took the same leftover
                group_id = self._new_group(schema_id, about)
                found = self._name_group(group_id, settings, about)
        if found.kind and found.kind != kind:
            raise InvalidRequest(
                f"The attribute group {name!r} (id {found.id}) is of kind {found.kind!r}, not {kind!r}.",
                cure="Use its kind, or another name.",
            )
        return self._with_options(found, wanted, about)

    def _new_group(self, schema_id: int, about: str) -> int:
        reply = self._change(self._path(_NEW_GROUP), about, {"schema_id": schema_id}, endpoint=_NEW_GROUP)
        return parse(AttributeGroup, part(reply, "attribute_template_group", about=about), about).id

    def _name_group(self, group_id: int, settings: dict[str, object], about: str) -> AttributeGroup:
        reply = self._change(self._path("attribute/group/update"), about, {"group_id": group_id, **settings})
        return parse(AttributeGroup, part(reply, "group", about=about), about)

    def _with_options(self, group: AttributeGroup, names: Sequence[str], about: str) -> AttributeGroup:
        """The group after the missing options were made."""
        there = [option for option in group.options if not option.archived]
        for name in names:
            if name not in {option.name for option in there}:
                body = {"mode": "NEW", "attribute": {"name": name, "group_id": group.id}}
                reply = self._change(self._path("attribute"), f"the option {name!r} of {about}", body)
                there.append(parse(AttributeOption, part(reply, "attribute_template", about=about), about))
        return group.model_copy(update={"options": there})


def _oldest(groups: Sequence[AttributeGroup], name: str) -> AttributeGroup | None:
    return min((group for group in groups if group.name == name), key=lambda group: group.id, default=None)


def _untouched(group: AttributeGroup) -> bool:
    """Whether this is what ``attribute/group/new`` leaves, and nobody has begun to use it."""
    return not (group.name or group.kind or group.prompt or group.options)


def _refuse_nonsense(name: str, kind: str, options: Sequence[str], about: str) -> None:
    if not name.strip() or not kind.strip() or not all(option.strip() for option in options):
        raise InvalidRequest(f"A name, the kind or an option of {about} is empty.", cure="Give words.")
    if options and kind in _WITHOUT_OPTIONS:
        raise InvalidRequest(f"{about.capitalize()} is of kind {kind!r} and has options.", cure="Use kind='select'.")
