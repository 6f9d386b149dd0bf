"""Questions over HTTP: what is posted is answered and sent back, and nothing is stored.

Serves step 1 of the pod's walk, for those who ask what its gate would do (`control/auth/reviews.py`
answers). They have no registry, watch or table form; the rest of the request is as any other's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from api.core import Binding
from control.apiserver.http import bodies, responses
from control.apiserver.http.context import ApiRequest
from control.auth.reviews import Reviews

Answers = Callable[[ApiRequest], Awaitable[web.StreamResponse]]


class ReviewHandler:
    """The handler of every request for a resource that can only be created."""

    def __init__(self, reviews: Reviews) -> None:
        self._answers = reviews.answers

    async def __call__(self, request: ApiRequest) -> web.StreamResponse:
        request.read_write_options()
        form = request.plain_form()
        type_ = request.target.resource.type
        review = await bodies.read_typed(request, type_)
        answered = await self._answers[type_](request.user, review, request.target.namespace)
        body = await responses.as_media_type(responses.encode(answered), form.media_type)
        return responses.json_response(body, code=201, content_type=form.media_type)


def posting(*, bindings: Answers, reviews: Answers) -> Answers:
    """The handler of what can only be posted: a Binding by its old path, or a question."""

    async def handle(request: ApiRequest) -> web.StreamResponse:
        answer = bindings if request.target.resource.type is Binding else reviews
        return await answer(request)

    return handle
