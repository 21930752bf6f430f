"""Every rule of both grammars: what it does, in lines of its own, and that without it those lines come out wrong."""

from __future__ import annotations

from itertools import chain

import pytest

from app.pipeline.module4_language import RULES, to_english
from app.pipeline.module4_language.draft import Draft, Rule
from app.pipeline.module4_language.gloss_rules import clean_glosses

SHARED: dict[str, list[tuple[str, str]]] = {
    "readable glosses": [
        ("IX-1 LIKE ICE-CREAM", "I like ice cream."),
        ("STORE DESC-FAR", "The store is far."),
        ("X-WE HAPPY", "We are happy."),
        ("IX-1 DON'T-LIKE COFFEE", "I don't like coffee."),
        ("#BANK DESC-CLOSE", "The bank is close."),
    ],
    "fingerspelled names": [
        ("FS-T FS-O FS-M HAPPY", "Tom is happy."),
        ("FS-TOM HAPPY", "Tom is happy."),
        ("FS-B", "B."),
        ("MY NAME FS-A", "My name is A."),
        ("IX-1 WATCH FS-T FS-V", "I am watching TV."),
    ],
    "numbers": [
        ("IX-1 HAVE 2 CAT", "I have two cats."),
        ("IX-1 HAVE 12 CAT", "I have 12 cats."),
        ("FORTY TWO BOOK", "Forty-two books."),
        ("IX-1 HAVE ONE CAT", "I have one cat."),
        ("CAR COST TEN THOUSAND DOLLAR", "The car costs ten thousand dollars."),
        ("MY NUMBER SEVEN FIVE NINE", "My number is seven five nine."),
    ],
    "reduplication": [
        ("CHAIR CHAIR", "Chairs."),
        ("IX-1 SAD SAD", "I am very sad."),
        ("YES YES", "Yes, yes."),
    ],
    "fixed expressions": [
        ("HOW YOU", "How are you?"),
        ("NICE MEET YOU", "Nice to meet you."),
        ("HELLO NAME", "Hello, what is your name?"),
        ("HELLO NAME YOUR", "Hello, what is your name?"),
        ("IX-1 FINE HOW-ARE-YOU", "I am fine. How are you?"),
        ("I-LOVE-YOU FATHER", "I love you, Father."),
    ],
    "pronoun index": [
        ("IX-1 LOVE IX-3", "I love them."),
        ("IX-3 LOVE IX-1", "They love me."),
        ("HE LOVE WE", "He loves us."),
        ("POSS-1 MOTHER SAD", "My mother is sad."),
    ],
    "time words": [
        ("NEXT SUMMER IX-1 VISIT MOTHER", "Next summer I will visit Mother."),
        ("PARTY SATURDAY NIGHT", "The party is on Saturday night."),
        ("MY BIRTHDAY JUNE SIX", "My birthday is on June 6."),
        ("PARTY TIME SIX", "The party is at six."),
        ("TODAY TUESDAY", "Today is Tuesday."),
        ("SINCE MONDAY IX-1 SICK", "Since Monday I have been sick."),
        ("IX-1 LIVE HERE FIVE YEAR", "I have lived here for five years."),
        ("IX-1 WORK MONDAY FRIDAY", "I am working on Monday and Friday."),
        ("TOMORROW", "Tomorrow."),
        ("FRIDAY", "Friday."),
    ],
    "subject copies": [
        ("YOU MARRY YOU", "Are you married?"),
        ("YOU LIKE SWIM YOU", "Do you like to swim?"),
        ("IX-1 TIRED IX-1", "I am tired."),
        ("IX-1 FINE YOU", "I am fine. And you?"),
        ("SHE FUNNY IX-1 LIKE SHE", "She is funny. I like her."),
        ("YOU UNDERSTAND IX-1 YOU", "Do you understand me?"),
    ],
    "word classes": [
        ("RENT EXPENSIVE", "The rent is expensive."),
        ("DOG BARK", "The dog is barking."),
        ("MY SISTER SURPRISE", "My sister is surprised."),
        ("PARTY CANCEL", "The party is canceled."),
        ("WE CAMPING", "We are going camping."),
        ("MY BACK HURT", "My back hurts."),
        ("LIGHT OFF PLEASE", "Please turn off the light."),
        ("HORSE MORE BIG THAN DOG", "The horse is bigger than the dog."),
        ("SHE MOST BEAUTIFUL", "She is the most beautiful."),
        ("IX-1 NEED HELP", "I need help."),
        ("IX-1 WANT HELP MOTHER", "I want to help Mother."),
        ("FATHER COOK GOOD", "Father is cooking well."),
    ],
    "sentence splitting": [
        ("IX-1 SAD IX-1 WANT EAT", "I am sad. I want to eat."),
        ("MY MOTHER HAPPY MY FATHER SAD", "My mother is happy. My father is sad."),
        ("IX-1 TIRED BUT IX-1 HAPPY", "I am tired, but I am happy."),
        ("IF RAIN IX-1 STAY HOME", "If it rains, I will stay home."),
        ("IX-1 HAPPY WHY MY MOTHER COME", "I am happy because my mother is coming."),
        ("IX-1 THINK YOU RIGHT", "I think you are right."),
        ("THANK-YOU HELP IX-1", "Thank you for helping me."),
        ("THANK-YOU FOR HELP", "Thank you for the help."),
        ("LAST-WEEK MY CAR BREAK NOW IX-1 TAKE BUS", "Last week my car broke. Now I am taking a bus."),
        ("YESTERDAY IX-1 GO DOCTOR BECAUSE MY LEG HURT", "Yesterday I went to the doctor because my leg hurts."),
        ("TOMORROW IX-1 FLY CHICAGO VISIT MY SISTER", "Tomorrow I will fly to Chicago to visit my sister."),
        ("IX-1 HAPPY BECAUSE TOMORROW PARTY", "I am happy because the party is tomorrow."),
        ("IF YOU SICK STAY HOME", "If you are sick, stay home."),
        ("SORRY IX-1 LATE TRAFFIC BAD", "Sorry, I am late. Traffic is bad."),
        ("NICE MEET YOU WHERE YOU FROM", "Nice to meet you. Where are you from?"),
        ("SORRY IX-1 NOT UNDERSTAND AGAIN PLEASE", "Sorry, I don't understand. Again, please."),
        ("SURGERY TOMORROW IX-1 AFRAID", "Surgery is tomorrow. I am afraid."),
        ("HELLO FATHER HOW-ARE-YOU", "Hello, Father, how are you?"),
    ],
    "time fronting": [
        ("YESTERDAY IX-1 SICK", "Yesterday I was sick."),
        ("IX-1 SICK YESTERDAY", "I was sick yesterday."),
        ("THREE WEEK AGO IX-1 BUY CAR", "Three weeks ago I bought a car."),
        ("TOMORROW MOTHER WORK", "Tomorrow Mother will work."),
    ],
    "politeness": [
        ("PLEASE WAIT", "Please wait."),
        ("BREAD PLEASE", "Bread, please."),
        ("MORE BREAD PLEASE", "More bread, please."),
        ("BOOK PLEASE", "A book, please."),
    ],
    "wh-questions": [
        ("YOU WORK WHERE", "Where do you work?"),
        ("WHERE MY BOOK", "Where is my book?"),
        ("YOU WANT WHAT", "What do you want?"),
        ("YOUR SISTER WHO", "Who is your sister?"),
        ("HOW-MANY BOOK YOU HAVE", "How many books do you have?"),
        ("WHO LOVE MOTHER", "Who loves Mother?"),
        ("FATHER SAD WHY", "Why is Father sad?"),
        ("BREAKFAST YOU EAT WHAT", "What are you eating for breakfast?"),
        ("WINE OR BEER YOU WANT WHICH", "Do you want wine or beer?"),
        ("YOU KNOW WHERE BATHROOM", "Do you know where the bathroom is?"),
        ("HOW FAR HOSPITAL", "How far is the hospital?"),
        ("WHAT WRONG", "What is wrong?"),
    ],
    "negation": [
        ("IX-1 DRINK NOT", "I don't drink."),
        ("MOTHER NOT DRINK COFFEE", "Mother doesn't drink coffee."),
        ("IX-3 HAPPY NOT", "They are not happy."),
        ("IX-1 CAR NONE", "I have no car."),
        ("IX-1 NEVER SLEEP", "I never sleep."),
        ("FATHER NOT-YET COME", "Father hasn't come yet."),
    ],
    "modals": [
        ("IX-1 WILL EAT", "I will eat."),
        ("IX-1 SWIM CAN", "I can swim."),
        ("YOU SHOULD SLEEP", "You should sleep."),
        ("IX-1 MUST GO NOT", "I mustn't go."),
    ],
    "completive": [
        ("MOTHER EAT FINISH", "Mother has eaten."),
        ("IX-1 FINISH READ BOOK", "I have read the book."),
        ("YOU SLEEP FINISH Q", "Have you slept?"),
    ],
    "relations": [
        ("YOU SISTER NAME WHAT", "What is your sister's name?"),
        ("IX-1 NAME FS-K FS-I FS-M", "My name is Kim."),
        ("NAME MY FS-K FS-I FS-M", "My name is Kim."),
        ("YOU BROTHER HOW", "How is your brother?"),
    ],
    "adjectives with prepositions": [
        ("IX-1 PROUD YOU", "I am proud of you."),
        ("IX-1 AFRAID DOG", "I am afraid of dogs."),
        ("EGG IX-1 ALLERGY", "I am allergic to eggs."),
        ("SHE NICE TEACHER", "She is a nice teacher."),
    ],
    "age": [
        ("SHE EIGHTEEN YEAR OLD", "She is eighteen years old."),
        ("IX-1 AGE 30", "I am 30 years old."),
        ("MY SON AGE ONE", "My son is one year old."),
    ],
    "noun phrases and possessives": [
        ("SISTER MY HAPPY", "My sister is happy."),
        ("MY SISTER CAR NEW", "My sister's car is new."),
        ("MOTHER POSS-3 BOOK NEW", "Mother's book is new."),
        ("CAR YOURS", "The car is yours."),
        ("IX-1 WANT HOUSE BIG", "I want a big house."),
        ("IX-1 HAVE CAT THREE", "I have three cats."),
        ("BROTHER AND SISTER MY", "My brother and sister."),
        ("CAT BEHIND CHAIR", "The cat is behind the chair."),
        ("WE NEED BREAD BUTTER EGG", "We need bread, butter and eggs."),
        ("IX-1 WANT SALAD TOMATO", "I want tomato salad."),
        ("SCIENCE CLASS INTERESTING", "The science class is interesting."),
        ("SHE TEACHER ASL", "She is an ASL teacher."),
        ("MY BEST FRIEND DEAF", "My best friend is deaf."),
        ("MY FRIEND HIS WIFE NURSE", "My friend's wife is a nurse."),
        ("IX-1 HELP HER", "I am helping her."),
    ],
    "third person gender": [
        ("MY MOTHER SICK IX-3 SLEEP", "My mother is sick. She is sleeping."),
        ("MY BROTHER DEAF IX-3 TEACHER", "My brother is deaf. He is a teacher."),
    ],
    "possession without a verb": [
        ("YOU BOOK HOW-MANY", "How many books do you have?"),
        ("YOU CHILD HOW-MANY", "How many children do you have?"),
        ("MY HOUSE THREE BEDROOM", "My house has three bedrooms."),
    ],
    "yes/no questions": [
        ("YOU TIRED", "Are you tired?"),
        ("WANT COFFEE YOU", "Do you want coffee?"),
        ("YOUR SISTER HAPPY Q", "Is your sister happy?"),
        ("YOU KNOW MY MOTHER", "Do you know my mother?"),
        ("YOU WELCOME", "You are welcome."),
    ],
    "requests": [
        ("PLEASE GIVE WATER", "Please give me water."),
        ("SHOW BOOK PLEASE", "Please show me a book."),
    ],
    "repeated actions": [
        ("IX-1 PRACTICE PRACTICE", "I keep practicing."),
        ("MOTHER COOK++", "Mother keeps cooking."),
    ],
    "tense and aspect": [
        ("IX-1 KNOW", "I know."),
        ("IX-1 COOK", "I am cooking."),
        ("MY PHONE BREAK", "My phone broke."),
        ("LAST-NIGHT IX-1 SLEEP NOT", "Last night I didn't sleep."),
        ("MY HEAD HURT", "My head hurts."),
        ("YOU WANT GO MOVIE TONIGHT", "Do you want to go to the movie tonight?"),
        ("IX-1 HURT YOU", "I hurt you."),
        ("SCHOOL START SEPTEMBER", "School starts in September."),
        ("NEXT-WEEK YOU COME Q", "Will you come next week?"),
        ("EVERY-DAY IX-1 COOK", "Every day I cook."),
    ],
    "plurals": [
        ("IX-1 HAVE MANY FRIEND", "I have many friends."),
        ("WE STUDENT", "We are students."),
        ("TWO CHILD", "Two children."),
        ("OUR CHILDREN PLAY", "Our children are playing."),
        ("PANTS BLACK WHERE", "Where are the black pants?"),
        ("IX-1 NEED NEW SHOES", "I need new shoes."),
    ],
    "articles": [
        ("IX-1 HAVE APPLE", "I have an apple."),
        ("COFFEE HOT", "The coffee is hot."),
        ("IX-1 GO STORE", "I am going to the store."),
        ("IX-1 GO SCHOOL", "I am going to school."),
        ("CAT IX-1 LIKE", "I like cats."),
        ("CAR IX-1 WANT", "I want the car."),
        ("MATH DIFFICULT", "Math is difficult."),
        ("CALL POLICE", "Call the police."),
        ("SHE BREAK LEG", "She broke her leg."),
        ("IX-1 PLAY GUITAR", "I am playing the guitar."),
    ],
    "agreement, do-support, punctuation": [
        ("MOTHER WANT COFFEE", "Mother wants coffee."),
        ("MOTHER WANT COFFEE Q", "Does Mother want coffee?"),
        ("YESTERDAY MOTHER WANT COFFEE NOT", "Yesterday Mother didn't want coffee."),
    ],
}
ONLY: dict[str, dict[str, list[tuple[str, str]]]] = {
    "ase": {
        "compounds": [
            ("GOOD MORNING MOTHER", "Good morning, Mother."),
            ("HOW OLD YOU", "How old are you?"),
            ("IX-1 NOT YET EAT", "I haven't eaten yet."),
            ("MY MOTHER TEACH PERSON", "My mother is a teacher."),
            ("PARTY START TIME WHAT", "What time does the party start?"),
        ],
        "topic fronting and word order": [
            ("STORE IX-1 GO", "I am going to the store."),
            ("CAR MY BROTHER WANT", "My brother wants the car."),
            ("IX-1 APPLE EAT", "I am eating an apple."),
            ("HUNGRY IX-1", "I am hungry."),
            ("WANT WATER", "I want water."),
        ],
    },
    "ins": {
        "compounds and question pairs": [
            ("YOUR SCHOOL PLACE WHAT", "Where is your school?"),
            ("YOUR DOCTOR FACE WHAT", "Who is your doctor?"),
            ("BUS COME TIME WHAT", "When is the bus coming?"),
            ("YOU SISTER NUMBER WHAT", "How many sisters do you have?"),
            ("MY WOMAN MARRY DOCTOR", "My wife is a doctor."),
        ],
        "verb-final clusters": [
            ("IX-1 RICE EAT WANT", "I want to eat rice."),
            ("SISTER MY BOOK READ LIKE", "My sister likes to read books."),
        ],
        "subject-object-verb order": [
            ("IX-1 APPLE EAT", "I am eating an apple."),
            ("IX-1 MUMBAI LIVE", "I live in Mumbai."),
            ("MOTHER SCHOOL GO", "Mother is going to school."),
            ("APPLE IX-1 EAT", "I am eating the apple."),
            ("IX-1 IX-3 LOVE", "I love them."),
        ],
    },
}
TABLES = {language: SHARED | ONLY[language] for language in RULES}
LINES = [
    pytest.param(language, glosses, english, id=f"{language}-{rule}-{glosses}")
    for language, table in TABLES.items()
    for rule, lines in table.items()
    for glosses, english in lines
]


@pytest.mark.parametrize(("language", "glosses", "english"), LINES)
def test_rule_line(language: str, glosses: str, english: str) -> None:
    assert to_english(glosses.split(), language) == english


@pytest.mark.parametrize("language", sorted(RULES))
def test_every_rule_has_a_table_and_a_description(language: str) -> None:
    names = [rule.name for rule in RULES[language]]
    assert len(names) >= 15
    assert len(set(names)) == len(names)
    assert set(names) == set(TABLES[language])
    assert all(len(lines) >= 2 for lines in TABLES[language].values())
    assert all(len(rule.description) > 20 for rule in RULES[language])


def without(rule: Rule, language: str, glosses: str) -> str:
    draft = Draft.of(clean_glosses(glosses.split()))
    for other in RULES[language]:
        if other is not rule:
            other.apply(draft)
    return draft.text


@pytest.mark.parametrize(
    ("language", "rule"),
    [pytest.param(language, rule, id=f"{language}-{rule.name}") for language in RULES for rule in RULES[language]],
)
def test_without_the_rule_its_table_fails(language: str, rule: Rule) -> None:
    assert any(without(rule, language, glosses) != english for glosses, english in TABLES[language][rule.name])


def test_languages_differ_where_their_grammars_do() -> None:
    assert to_english(["TIME", "WHAT", "YOU", "COME"], "ins") == "When are you coming?"
    assert to_english(["TIME", "WHAT"], "ase") == "What time is it?"


def test_no_gloss_row_is_changed_in_place() -> None:
    glosses = list(chain(["IX-1"], ["HUNGRY", "HUNGRY"]))
    to_english(glosses)
    assert glosses == ["IX-1", "HUNGRY", "HUNGRY"]


@pytest.mark.parametrize("code", ["gsg", "und"])
def test_a_language_without_a_grammar_keeps_the_order_signed(code: str) -> None:
    assert to_english(["MORGEN", "ICE-CREAM", "ABER", "REGEN"], code) == "Morgen ice cream aber regen."
    assert to_english([], code) == ""
