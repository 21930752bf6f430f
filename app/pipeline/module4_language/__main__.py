"""List the rules of each grammar, or put the glosses given as arguments into English."""

from __future__ import annotations

import argparse

from app.pipeline.module4_language import RULES, to_english


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("glosses", nargs="*", help="glosses to translate; without any, the rules are listed")
    parser.add_argument("--sign-language", choices=sorted(RULES), help="one grammar only (translation: default ase)")
    arguments = parser.parse_args()
    if arguments.glosses:
        print(to_english(arguments.glosses, arguments.sign_language or "ase"))
        return
    for language in [arguments.sign_language] if arguments.sign_language else sorted(RULES):
        print(f"{language}: {len(RULES[language])} rules, in order")
        for number, rule in enumerate(RULES[language], 1):
            print(f"  {number:2}. {rule.name}: {rule.description}")


if __name__ == "__main__":
    main()
