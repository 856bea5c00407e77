"""The dialogue domain: customer-service conversations, generated from templates.

In a template, {name} is a detail of the conversation, {3-15} a number from that range and {a|b} one of the words.
All templates of a turn are filled in, then one is picked: the order of the draws is part of the recipe.
"""

import re
from collections.abc import Iterator, Mapping

from moe_lite.corpora.text import Dice, Document

PEOPLE = (
    "Amina Ben Chloe David Elena Farid Grace Hugo Ines James Kenji Laura Marco Nadia Oscar "
    "Priya Quentin Rosa Samuel Tara Umar Vera Wei Ximena Yusuf Zoe"
).split()
ITEMS = (
    "desk lamp|wireless keyboard|coffee grinder|rain jacket|hiking boots|standing desk|office chair|"
    "water bottle|bike helmet|phone case|toaster|noise-cancelling headset|backpack|yoga mat|"
    "electric kettle|camera tripod|garden hose|board game|wool blanket|alarm clock"
).split("|")
CITIES = "Leeds Lyon Porto Ghent Turin Oslo Graz Cork Basel Tampere Malaga Utrecht Bergen Bilbao".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday".split()
BRANDS = "Northwind Brightleaf Oakline Tidewater Juniper Copperfield".split()

Turn = tuple[str, ...]  # the ways to say one thing

GREETING: Turn = (
    "Hello, this is {agent} from {brand} support. How can I help you today?",
    "Good morning, you are through to {agent} at {brand}. What can I do for you?",
    "Thanks for contacting {brand}. My name is {agent}. What seems to be the problem?",
    "Welcome to {brand} chat. I'm {agent}, how may I help?",
)
GOODBYE: Turn = (
    "Is there anything else I can do for you?",
    "You're welcome. Have a nice day!",
    "Thank you for choosing {brand}, {customer}. Goodbye!",
    "My pleasure. Take care!",
)
LAST_WORD: Turn = ("No, that's all. Goodbye.", "No thanks, bye!", "That was everything, thank you.")

TOPICS: tuple[tuple[Turn, ...], ...] = (  # the customer speaks first, then they take turns
    (
        (
            "Hi, my {item} still hasn't arrived. It was due on {day}.",
            "Hello, where is my {item}? I was promised it by {day}.",
            "I'm waiting for a {item} and the tracking page has not changed in {n} days.",
        ),
        (
            "I'm sorry about the delay. Could you give me the order number, please?",
            "Sorry to hear that. What is the order number?",
            "Let me look into that. Do you have your order number at hand?",
        ),
        ("Sure, it's {order}.", "Yes: {order}.", "The number is {order}, under the name {customer}."),
        (
            "Thank you, {customer}. The parcel is held at our {city} depot; it will go out on {day}.",
            "I can see it. The {item} left {city} this morning and should reach you within {n} days.",
            "Thanks. It looks lost in transit, so I am sending a new {item} free of charge.",
        ),
        ("That works for me, thank you.", "All right, I'll wait then.", "Great, thanks for checking so quickly."),
    ),
    (
        (
            "I'd like to return the {item} I bought.",
            "Can I send my {item} back for a refund?",
            "The {item} is not what I expected. How do I return it?",
        ),
        (
            "Of course. Is it unused and in its original box?",
            "No problem. May I ask what is wrong with it?",
            "Certainly. When did you receive it?",
        ),
        (
            "I opened it {n} days ago but it is like new.",
            "It arrived with a crack along the side.",
            "It is the wrong colour, I ordered the green one.",
            "It came last {day} and I never used it.",
        ),
        (
            "In that case we refund the full {price} euros. I have sent a return label for order {order} by email.",
            "I have approved the return for order {order}. You will get {price} euros back within {n} working days.",
            "We can exchange it or refund {price} euros. Which would you prefer?",
        ),
        ("A refund, please.", "I'd rather have the money back.", "Perfect, I'll post it tomorrow."),
    ),
    (
        (
            "I can't log in to my account.",
            "It says my password is wrong, but I'm sure it isn't.",
            "I never receive the password reset email.",
            "My account seems to be locked.",
        ),
        (
            "Let me check. Which email address do you use?",
            "I can help with that. What is your user name?",
            "Have you looked in the spam folder?",
        ),
        ("It's {login}{10-99}@example.com.", "My user name is {login}_{100-999}.", "Yes, nothing there either."),
        (
            "Thanks. I have unlocked the account; please choose a new password with at least twelve characters.",
            "I've sent a new link. It is valid for {ten_n} minutes.",
            "There was a typing error in the address we had on file. It is corrected now.",
        ),
        ("It works now, thank you!", "Got it. I'm in.", "Thanks, that solved it."),
    ),
    (
        (
            "I need to change the delivery address for order {order}.",
            "I have moved to {city}. Can order {order} still go to the new place?",
        ),
        ("Yes, as long as it has not been shipped. What is the new address?", "Let me see. Where should it go?"),
        (
            "{1-180} {Mill|Station|Church|Park|Harbour|King} Street, {city}.",
            "To my office: {1-60} {Market|Bridge|Garden} Square, {city}.",
        ),
        (
            "Done. The {item} will now be delivered there on {day}.",
            "I have updated it. Delivery moves to {day}, at no extra cost.",
        ),
        ("Wonderful.", "{day} is fine, thanks.", "Thank you for your help."),
    ),
    (
        (
            "Before I order: is the {item} available in {blue|black|red|a larger size|a smaller size}?",
            "Does the {item} come with a warranty?",
            "How much is shipping for a {item} to {city}?",
        ),
        (
            "Good question. Yes, and it costs {price} euros.",
            "It does; we cover it for {n} years.",
            "Shipping to {city} is {3-15} euros and takes {n} days.",
        ),
        ("And can I pay on delivery?", "Is there a discount if I buy two?", "Could you gift-wrap it?"),
        (
            "I'm afraid not, but we take cards and bank transfer.",
            "Yes, {5|10|15|20} percent off the second one.",
            "We can, for {2-6} euros more.",
        ),
        ("I'll think about it. Thanks!", "Then I'll take it.", "Good to know, thank you."),
    ),
    (
        (
            "Please cancel my subscription.",
            "I want to stop the monthly plan, it costs {price} euros and I never use it.",
        ),
        (
            "I'm sorry to see you go. May I ask why?",
            "I can do that. Would a pause of a few months help instead?",
        ),
        (
            "It is simply too expensive for me.",
            "No, please just cancel it.",
            "I found something that suits me better.",
        ),
        (
            "Understood. The plan ends on {day} and nothing more will be charged.",
            "It is cancelled. You keep access for {triple_n} more days.",
        ),
        ("Thank you.", "Will I get a confirmation by email?", "That was easy, thanks."),
    ),
    (
        (
            "My {item} stopped working after {n} weeks.",
            "The {item} makes a strange noise when I switch it on.",
        ),
        (
            "Let's try something first: unplug it, wait a minute, and plug it in again.",
            "Is the little light on the back green or red?",
            "Which version do you have? It is printed underneath.",
        ),
        ("I did, nothing happened.", "It is red and blinking.", "It says model {K|L|M|N|P|R}{100-999}."),
        (
            "Then it is a faulty part. We will collect it in {city} on {day} and repair it for free.",
            "That model had a defect. I am sending you a replacement.",
            "Thanks. A technician will call you on {day} between {8-11} and {12-17}.",
        ),
        ("Excellent, thank you.", "How long will that take?", "Good, I'll be at home."),
    ),
    (
        ("I'd like to book an appointment in your {city} shop.", "Can I try the {item} in your shop in {city}?"),
        ("Gladly. Would {day} at {9-17} suit you?", "We have a free slot on {day}. Morning or afternoon?"),
        ("Morning, please.", "Afternoon would be better.", "That's fine.", "Could it be a bit later?"),
        ("All right, {customer}, you are booked. The reference is {order}.", "Done. See you on {day}, {customer}."),
        ("See you then.", "Thanks, bye.", "Perfect."),
    ),
)


def dialogues(n_documents: int = 2600, seed: int = 7) -> Iterator[Document]:
    """A document a conversation."""
    dice = Dice(seed)
    for number in range(n_documents):
        yield Document(f"dialogue/{number:05d}", _conversation(dice))


def _conversation(dice: Dice) -> str:
    details = _details(dice)
    lines = [f"Agent: {_say(GREETING, details, dice)}"]
    for number, turn in enumerate(dice.pick(TOPICS)):
        lines.append(f"{('Customer', 'Agent')[number % 2]}: {_say(turn, details, dice)}")
    lines.append(f"Agent: {_say(GOODBYE, details, dice)}")
    if lines[-1].endswith("?"):
        lines.append(f"Customer: {_say(LAST_WORD, details, dice)}")
    return "\n".join(lines)


def _details(dice: Dice) -> dict[str, str]:
    """What stays the same throughout a conversation."""
    lists = {"customer": PEOPLE, "agent": PEOPLE, "item": ITEMS, "brand": BRANDS, "city": CITIES, "day": DAYS}
    details = {name: dice.pick(choices) for name, choices in lists.items()}
    details["order"] = f"{dice.pick('ABCDEFGH')}{dice.between(10000, 99999)}"
    details["price"] = str(dice.between(9, 240))
    n = dice.between(2, 9)
    return details | {"n": f"{n}", "ten_n": f"{10 * n}", "triple_n": f"{3 * n}", "login": details["customer"].lower()}


def _say(turn: Turn, details: Mapping[str, str], dice: Dice) -> str:
    return dice.pick([re.sub(r"\{(.+?)\}", lambda slot: _fill(slot[1], details, dice), text) for text in turn])


def _fill(slot: str, details: Mapping[str, str], dice: Dice) -> str:
    if slot in details:
        return details[slot]
    if "|" in slot:
        return dice.pick(slot.split("|"))
    low, high = slot.split("-")
    return str(dice.between(int(low), int(high)))
