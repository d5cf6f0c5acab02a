"""``project.label``, ``project.schema``, ``project.attribute``: listed before anything is made, against twins."""

from __future__ import annotations

from collections.abc import Sequence

from diffgram_flows.diffgram import AttributeGroup, Label, LabelSchema
from diffgram_flows.project.context import Context, Ref


class Labels:
    """Labels of a schema, by default those of the project's own (:class:`~diffgram_flows.Project`)."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self, schema: Ref | str | None = None) -> Sequence[Label]:
        """The labels as they are now, twins included."""
        return self._context.client.labels(self._context.schema_id(schema))

    def get(self, name: str, schema: Ref | str | None = None) -> int | None:
        """The label file id of a label, ``None`` if there is none. Listed once, and again when a name is missing."""
        known = self._context.labels(schema)
        return known.get(name) or self._context.labels(schema, fresh=True).get(name)

    def new(self, *names: str, schema: Ref | str | None = None) -> dict[str, int]:
        """Label names to label file ids; only what is missing is made.

        Raises:
            InvalidRequest: A name is refused.
        """
        made = self._context.client.ensure_labels(self._context.schema_id(schema), names)
        self._context.forget_labels()
        return made


class Schemas:
    """Label schemas; a job has exactly one."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self) -> Sequence[LabelSchema]:
        """The schemas of the project."""
        return self._context.client.schemas()

    def default(self) -> LabelSchema:
        """The schema that is meant where none is named.

        Raises:
            ConfigurationError: There is none.
        """
        schema_id = self._context.schema_id()
        return next(schema for schema in self.list() if schema.id == schema_id)

    def new(self, name: str) -> LabelSchema:
        """The schema of exactly this name, made if it is missing.

        Raises:
            InvalidRequest: The server accepts no schema of this name.
        """
        return self._context.client.ensure_schema(name)


class Attributes:
    """Questions about instances, and their answers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self, schema: Ref | str | None = None) -> Sequence[AttributeGroup]:
        """The attribute groups of a schema with their options."""
        return self._context.client.attribute_groups(self._context.schema_id(schema))

    def new(
        self,
        name: str,
        *,
        kind: str = "select",
        options: Sequence[str] = (),
        prompt: str = "",
        labels: Sequence[str] = (),
        schema: Ref | str | None = None,
        is_global: bool = False,
    ) -> AttributeGroup:
        """The attribute group of exactly this name with at least these options; only what is missing is made.

        Args:
            name: Its name.
            kind: ``select``, ``text``, ``multiple_select``, ``radio``, ``slider``, ``date`` or ``time``.
            options: The answers to choose from.
            prompt: The question that people read; the name if it is empty.
            labels: The labels whose instances are asked; they are made if they are missing.
            schema: The label schema.
            is_global: Whether the question is about the whole file.

        Raises:
            InvalidRequest: A group of this name has another kind.
            BudgetExhausted: The server allows 10 new groups a day.
        """
        schema_id = self._context.schema_id(schema)
        ids = list(self._context.client.ensure_labels(schema_id, labels).values()) if labels else []
        return self._context.client.ensure_attribute_group(
            schema_id, name, prompt=prompt, kind=kind, options=options, label_file_ids=ids, is_global=is_global
        )
