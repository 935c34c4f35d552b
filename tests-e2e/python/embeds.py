"""Asks `POST /v1/embeddings` with the official client, as programs written for OpenAI do; prints what it was told."""

import json
import math
import os
import openai

# The one that was fetched, not one that happens to be on the machine.
assert openai.__file__.startswith(os.environ["PYTHONPATH"] + "/"), openai.__file__

client = openai.OpenAI(max_retries=0)
# A reply that does not fit the client's own types raises; it looks before it unpacks base64, so it asks for floats.
strict = openai.OpenAI(_strict_response_validation=True, max_retries=0)
MODEL = "text-embedding-3-small"


def embed(api=client, model=MODEL, **options):
    return api.embeddings.create(model=model, **options)


def refused(api=client, **options):
    """The class that the client raises, and what it knows of the refusal."""
    try:
        embed(api, **options)
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code, error.param]
    return None


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.hypot(*a) / math.hypot(*b)


# The client asks for base64 by itself, and unpacks it.
packed = embed(input="mon genou me fait mal")
texts = ["mon genou me fait mal", "douleur au genou", "le prix de l'abonnement"]
plain = embed(strict, input=texts, encoding_format="float")
short = embed(input="mon genou me fait mal", dimensions=256)
first, near, far = [item.embedding for item in plain.data]
print(
    json.dumps(
        {
            "answered_by": plain.model,
            "order": [item.index for item in plain.data],
            "lengths": [len(packed.data[0].embedding), len(first), len(short.data[0].embedding)],
            "same": max(abs(a - b) for a, b in zip(packed.data[0].embedding, first)) < 1e-6,
            "unit": abs(math.hypot(*short.data[0].embedding) - 1) < 1e-5,
            "nearer": cosine(first, near) > cosine(first, far),
            "counted": plain.usage.prompt_tokens > 0 and plain.usage.total_tokens == plain.usage.prompt_tokens,
            "other_name": embed(model="whatever", input="genou").model,
            "refused": {
                "empty list": refused(input=[]),
                "empty text": refused(input=""),
                "too many": refused(input=["a"] * 129),
                "too long": refused(input="a" * 8001),
                "nul": refused(input="a\0b"),
                "tokens": refused(input=[[1, 2]]),
                "dimensions": refused(input="a", dimensions=1537),
                "encoding": refused(input="a", encoding_format="int8"),
                "wrong key": refused(client.with_options(api_key="sk-wrong"), input="a"),
            },
        }
    )
)
