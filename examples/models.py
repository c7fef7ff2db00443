"""Which models there are, and what one of them can take. A list is fetched page by page, as the loop goes on."""

import dragoman as anthropic


def main() -> None:
    client = anthropic.Anthropic()

    print("all models, newest first:")
    for model in client.models.list(limit=5):  # 5 to a page
        print(f"  {model.id:30} {model.display_name}")

    page = client.models.list(limit=5)
    print("on the first page:", len(page.data), "- is there another?", page.has_next_page())
    print("first of the next:", page.get_next_page().data[0].id)

    chosen = client.models.retrieve("claude-haiku-4-5")  # an alias
    print()
    print("id:     ", chosen.id)
    print("name:   ", chosen.display_name)
    print("since:  ", f"{chosen.created_at:%B %Y}")
    print("input:  ", chosen.max_input_tokens, "tokens")
    print("output: ", chosen.max_tokens, "tokens")


if __name__ == "__main__":
    main()
