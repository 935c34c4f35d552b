"""Drives the fake with the official client; prints "passed" or raises."""

import os
import sys
import time
from typing import List, Literal, Optional

import openai
import pydantic

# The one that was fetched, not one that happens to be on the machine.
assert openai.__file__.startswith(os.environ["PYTHONPATH"] + "/"), openai.__file__

MODEL = "gpt-6-luna"
EMBEDDING = "text-embedding-3-small"

# Strict: a reply that does not fit the client's own types raises.
client = openai.OpenAI(_strict_response_validation=True, max_retries=2)
impatient = client.with_options(max_retries=0)


class Fact(pydantic.BaseModel):
    category: Literal["injury", "goal", "schedule"]
    text: str
    confidence: float
    source: Optional[int]


class Facts(pydantic.BaseModel):
    facts: List[Fact]
    mood: Literal["good", "bad"]


MESSAGES = [{"role": "system", "content": "Extract."}, {"role": "user", "content": "my knee hurts"}]


def demand(word):
    """The header that makes the fake fail as the word says."""
    return {"x-fake": word}


def chat(api=client, word=None, **options):
    headers = demand(word) if word else {}
    return api.chat.completions.parse(
        model=MODEL, messages=MESSAGES, response_format=Facts, store=False, extra_headers=headers, **options
    )


def plain_chat(word):
    """Chat Completions with the client's own schema and without its parser, which raises where an answer is cut."""
    schema = {"name": "Facts", "strict": True, "schema": openai.lib._pydantic.to_strict_json_schema(Facts)}
    return impatient.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        response_format={"type": "json_schema", "json_schema": schema},
        extra_headers=demand(word),
    )


def respond(api=client, word=None, **options):
    headers = demand(word) if word else {}
    return api.responses.parse(
        model=MODEL,
        instructions="Extract.",
        input=[{"role": "user", "content": "my knee hurts"}],
        text_format=Facts,
        store=False,
        extra_headers=headers,
        **options,
    )


def plain_response(word):
    """A response with the client's own schema and without its parser."""
    schema = {"type": "json_schema", "name": "Facts", "strict": True}
    schema["schema"] = openai.lib._pydantic.to_strict_json_schema(Facts)
    return impatient.responses.create(
        model=MODEL, input="my knee hurts", text={"format": schema}, extra_headers=demand(word)
    )


def embed(api=client, word=None, **options):
    headers = demand(word) if word else {}
    return api.embeddings.create(model=EMBEDDING, input=["genou", "knee"], extra_headers=headers, **options)


def completions():
    completion = chat()  # after two failures that the test queued
    facts = completion.choices[0].message.parsed
    assert isinstance(facts, Facts) and facts.facts, facts
    usage = completion.usage
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens <= usage.prompt_tokens
    assert completion._request_id.startswith("req_fake_")

    message = chat(word="refusal").choices[0].message
    assert message.refusal and message.parsed is None and message.content is None
    expect(openai.LengthFinishReasonError, lambda: chat(word="length"))
    expect(openai.LengthFinishReasonError, lambda: chat(max_completion_tokens=1))
    expect(openai.ContentFilterFinishReasonError, lambda: chat(word="filter"))
    for word in ("not-json", "nonsense"):
        expect(pydantic.ValidationError, lambda: Facts.model_validate_json(plain_chat(word).choices[0].message.content))
        expect(pydantic.ValidationError, lambda: chat(word=word))
    assert plain_chat("no-usage").usage is None


def responses():
    response = respond()
    facts = response.output_parsed
    assert isinstance(facts, Facts) and facts.facts, facts
    assert response.status == "completed" and response.incomplete_details is None
    usage = response.usage
    assert usage.input_tokens > 0 and usage.output_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.input_tokens_details.cached_tokens <= usage.input_tokens
    assert response._request_id.startswith("req_fake_")

    refused = respond(word="refusal")
    assert refused.output_parsed is None and refused.output_text == ""
    assert refused.output[0].content[0].type == "refusal" and refused.output[0].content[0].refusal
    for word, reason in (("length", "max_output_tokens"), ("filter", "content_filter")):
        cut = plain_response(word)
        assert (cut.status, cut.incomplete_details.reason) == ("incomplete", reason), cut
    expect(pydantic.ValidationError, lambda: respond(word="length"))
    for word in ("not-json", "nonsense"):
        expect(pydantic.ValidationError, lambda: Facts.model_validate_json(plain_response(word).output_text))
        expect(pydantic.ValidationError, lambda: respond(word=word))
    assert plain_response("no-usage").usage is None


def embeddings():
    # The client's own type for a vector knows lists alone, and it unpacks base64 only after the strict check.
    packed = embed(openai.OpenAI())
    listed = embed(encoding_format="float")
    assert [item.index for item in packed.data] == [0, 1]
    for a, b in zip(packed.data, listed.data):
        assert len(a.embedding) == len(b.embedding) == 1536
        assert max(abs(x - y) for x, y in zip(a.embedding, b.embedding)) < 1e-7
        assert abs(sum(x * x for x in b.embedding) - 1) < 1e-4
    assert packed.data[0].embedding != packed.data[1].embedding
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > 0

    missing = expect(openai.NotFoundError, lambda: client.embeddings.create(model="none", input="x"))
    assert missing.code == "model_not_found", missing.code
    empty = expect(openai.BadRequestError, lambda: client.embeddings.create(model=EMBEDDING, input=""))
    assert empty.type == "invalid_request_error", empty.type


def failures():
    """What fails before any model is asked, in each of the three."""
    stranger = client.with_options(api_key="sk-wrong")
    for ask in (chat, respond, embed):
        error = expect(openai.RateLimitError, lambda: ask(impatient, "429"))
        assert error.response.headers["retry-after"] == "1"
        error = expect(openai.RateLimitError, lambda: ask(impatient, "quota"))
        assert error.code == "insufficient_quota", error.code
        error = expect(openai.BadRequestError, lambda: ask(impatient, "too-long"))
        assert error.code == "context_length_exceeded", error.code
        for status in (500, 503):
            error = expect(openai.InternalServerError, lambda: ask(impatient, str(status)))
            assert error.status_code == status, error.status_code
        expect(openai.AuthenticationError, lambda: ask(impatient, "401"))
        expect(openai.AuthenticationError, lambda: ask(stranger))
        expect(openai.BadRequestError, lambda: ask(impatient, "telepathy"))
        garbage = expect(Exception, lambda: ask(impatient, "garbage"))
        assert not isinstance(garbage, openai.APIStatusError), garbage
        expect(openai.APITimeoutError, lambda: ask(impatient.with_options(timeout=0.2), "slow-5"))
        started = time.monotonic()
        ask(impatient, "slow-1")
        assert time.monotonic() - started >= 1


def models():
    listed = {model.id: model for model in client.models.list()}
    assert MODEL in listed and EMBEDDING in listed, listed
    old = client.models.retrieve("gpt-4o-mini")
    assert (old.shutdown_date, old.replacement) == ("2027-01-14", MODEL), old
    expect(openai.NotFoundError, lambda: client.models.retrieve("none"))


def expect(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected")


PARTS = (completions, responses, embeddings, failures, models)
{part.__name__: part for part in PARTS}[sys.argv[1]]()
print("passed")
