"""What may go wrong, and how a program tells one thing from another: the most specific exception comes first."""

import dragoman as anthropic


def ask(client: anthropic.Anthropic, model: str = "claude-opus-4-8", max_tokens: int = 100) -> str:
    try:
        message = client.messages.create(
            model=model, max_tokens=max_tokens, messages=[{"role": "user", "content": "Hello"}]
        )
    except anthropic.RateLimitError as error:
        return f"too fast; wait for {error.response.headers.get('retry-after')} s"
    except anthropic.AuthenticationError as error:
        return f"the key is wrong: {error.message}"
    except anthropic.NotFoundError as error:
        return f"no such model: {error.message}"
    except anthropic.BadRequestError as error:
        return f"{error.type}, not worth another try: {error.message}"
    except anthropic.APIStatusError as error:  # every other status from 400 on
        return f"status {error.status_code} of request {error.request_id}"
    except anthropic.APITimeoutError:  # is an APIConnectionError, so it stands before it
        return "no answer in time"
    except anthropic.APIConnectionError as error:
        return f"no answer at all, from {error.request.url}"
    return f"stopped for {message.stop_reason}"


def main() -> None:
    client = anthropic.Anthropic()
    print("right:       ", ask(client))
    print("wrong number:", ask(client, max_tokens=-1))
    print("wrong model: ", ask(client, model="claude-opus-0"))
    print("wrong key:   ", ask(client.with_options(api_key="sk-wrong")))
    # Nothing listens on this port; other options stay those of `client`.
    print("wrong place: ", ask(client.with_options(base_url="http://127.0.0.1:1", max_retries=0)))

    try:
        client.messages.create(model="claude-opus-4-8", max_tokens=100, messages=[])
    except anthropic.APIError as error:
        print()
        print("class:  ", type(error).__name__)
        print("parents:", *(each.__name__ for each in type(error).__mro__[1:4]))


if __name__ == "__main__":
    main()
