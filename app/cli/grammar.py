"""`grammar`: the rules of each grammar, or glosses put into English."""

from __future__ import annotations

import argparse


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("grammar", help="list the rules of the grammars, or put glosses into English")
    parser.add_argument("glosses", nargs="*", help="glosses to translate; without any, the rules are listed")
    parser.add_argument("--sign-language", metavar="CODE", help="one grammar only (translation: default ase)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.core.settings import SettingsError
    from app.pipeline.module4_language import RULES, to_english

    if args.sign_language is not None and args.sign_language not in RULES:
        raise SettingsError(f"--sign-language {args.sign_language}: there are grammars for {', '.join(sorted(RULES))}.")
    if args.glosses:
        print(to_english(args.glosses, args.sign_language or "ase"))
        return 0
    for language in [args.sign_language] if args.sign_language else sorted(RULES):
        print(f"{language}: {len(RULES[language])} rules, in order")
        for number, rule in enumerate(RULES[language], 1):
            print(f"  {number:2}. {rule.name}: {rule.description}")
    return 0
