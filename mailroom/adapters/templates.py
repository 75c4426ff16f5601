"""The drafter without an AI: templates, the user's before the built-in ones."""

from mailroom.models.templates import Drafted, DraftRequest, Template, draft_from_templates


class TemplateDrafter:
    def __init__(self, templates: tuple[Template, ...]) -> None:
        self._templates = templates

    async def draft(self, request: DraftRequest) -> Drafted:
        return draft_from_templates(request, self._templates)
