"""Drives the fake with the official client; prints "passed" or raises."""

import os
import sys
from typing import List, Literal, Optional

import openai
import pydantic

assert openai.__version__ == os.environ["EXPECTED_VERSION"], openai.__version__

MODEL = "gpt-6-luna"
EMBEDDING = "text-embedding-3-small"

# Strict: a reply that does not fit the client's own types raises.
client = openai.OpenAI(_strict_response_validation=True)


class Fact(pydantic.BaseModel):
    category: Literal["injury", "goal", "schedule"]
    text: str
    confidence: float
    source: Optional[int]


class Facts(pydantic.BaseModel):
    facts: List[Fact]
    mood: Literal["good", "bad"]


def messages(text):
    return [{"role": "system", "content": "Extract."}, {"role": "user", "content": text}]


def parse(text, model=Facts, **options):
    return client.chat.completions.parse(
        model=MODEL, messages=messages(text), response_format=model, store=False, **options
    )


def replies():
    completion = parse("my knee hurts")  # after two failures on demand
    facts = completion.choices[0].message.parsed
    assert isinstance(facts, Facts) and facts.facts, facts
    usage = completion.usage
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens <= usage.prompt_tokens
    assert completion._request_id.startswith("req_fake_")

    class Refused(Facts):
        pass

    message = parse("x", Refused).choices[0].message
    assert message.refusal and message.parsed is None and message.content is None

    class Cut(Facts):
        pass

    expect(openai.LengthFinishReasonError, lambda: parse("x", Cut))

    class Filtered(Facts):
        pass

    expect(openai.ContentFilterFinishReasonError, lambda: parse("x", Filtered))
    expect(openai.LengthFinishReasonError, lambda: parse("x", max_completion_tokens=1))

    # The client's own type for a vector knows lists alone, and it unpacks base64 only after the strict check.
    packed = openai.OpenAI().embeddings.create(model=EMBEDDING, input=["genou", "knee"])
    listed = client.embeddings.create(model=EMBEDDING, input=["genou", "knee"], encoding_format="float")
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
    stranger = client.with_options(api_key="sk-wrong")
    expect(openai.AuthenticationError, lambda: stranger.embeddings.create(model=EMBEDDING, input="x"))


def quota():
    error = expect(openai.RateLimitError, lambda: parse("x"))
    assert error.code == "insufficient_quota", error.code


def expect(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected")


{"replies": replies, "quota": quota}[sys.argv[1]]()
print("passed")
