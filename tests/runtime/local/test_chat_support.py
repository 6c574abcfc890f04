"""A value belongs to a field for a reason that stands in the text; what is given without one is declared."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infrai_runtime.vendors.local.chat import Answer, reply

S: dict[str, Any] = {"type": "string"}
INTEGER: dict[str, Any] = {"type": "integer"}
N: dict[str, Any] = {"type": "number"}
B: dict[str, Any] = {"type": "boolean"}
DATE: dict[str, Any] = {"type": "string", "format": "date"}
EMAIL: dict[str, Any] = {"type": "string", "format": "email"}


def obj(optional: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def many(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def one_of(*options: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(options)}


def function(name: str, about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}


def asked(text: str, **options: Any) -> Answer:
    return reply([{"role": "user", "parts": [{"type": "text", "text": text}]}], **options)


def fill(schema: dict[str, Any], text: str) -> tuple[Any, list[str]]:
    """The filled object and the paths that are declared as invented."""
    wanted = {"type": "json_schema", "json_schema": {"name": "form", "schema": schema}}
    answer = asked(text, response_format=wanted)
    return json.loads(answer.parts[0]["text"]), [path.removeprefix("content.") for path in answer.invented]


def forced(schema: dict[str, Any], text: str) -> tuple[Any, list[str]]:
    """The arguments of a call that had to be made and the paths that are declared as invented."""
    answer = asked(text, tools=[function("submit", "Submits a form", schema)], tool_choice="required")
    prefix = "tool_calls.0.arguments."
    return json.loads(answer.parts[0]["arguments"]), [path.removeprefix(prefix) for path in answer.invented]


SUPPORTED: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    (
        obj(items=many(obj(name=S, quantity=INTEGER))),
        "I need 3 apples, 2 bananas and 5 oranges.",
        {
            "items": [
                {"name": "apples", "quantity": 3},
                {"name": "bananas", "quantity": 2},
                {"name": "oranges", "quantity": 5},
            ]
        },
    ),
    (
        obj(items=many(obj(name=S, quantity=INTEGER))),
        "Order: 12 bolts, 8 nuts",
        {"items": [{"name": "bolts", "quantity": 12}, {"name": "nuts", "quantity": 8}]},
    ),
    (obj(length_m=N, width_m=N), "The pier is 310 m long and 8 m wide.", {"length_m": 310, "width_m": 8}),
    (
        obj(sender=EMAIL, recipient=S, subject=S, meeting_date=DATE),
        "From: lena@norddruck.example\nTo: Purchasing team\nSubject: Revised quote\n\nHello,\nplease find attached the "
        "quote. Could we meet on 2026-03-12 to go through it?\nBest, Lena Fischer",
        {
            "sender": "lena@norddruck.example",
            "recipient": "Purchasing team",
            "subject": "Revised quote",
            "meeting_date": "2026-03-12",
        },
    ),
    (
        obj(number=S, items=many(obj(description=S, quantity=INTEGER, unit_price=N)), tax=N, total=N, currency=S),
        "INVOICE INV-7731\n\n- Oak shelf, quantity 2, unit price 140.00\n- Wall bracket, quantity 6, unit price 7.50"
        "\n\nTax: 65.00\nTotal: 390.00 GBP",
        {
            "number": "INV-7731",
            "items": [
                {"description": "Oak shelf", "quantity": 2, "unit_price": 140},
                {"description": "Wall bracket", "quantity": 6, "unit_price": 7.5},
            ],
            "tax": 65,
            "total": 390,
            "currency": "GBP",
        },
    ),
    (
        obj(products=many(obj(("discount",), name=S, price=N, discount=N))),
        "Desk lamp: 29.90 EUR\nFloor lamp: 84.00 EUR",
        {"products": [{"name": "Desk lamp", "price": 29.9}, {"name": "Floor lamp", "price": 84}]},
    ),
    (
        obj(person=obj(name=S, age=INTEGER), employer=obj(name=S, city=S)),
        "Jun Okada, 29, works for Brightwave in Osaka as a sound engineer.",
        {"person": {"name": "Jun Okada", "age": 29}, "employer": {"name": "Brightwave", "city": "Osaka"}},
    ),
    (
        obj(people=many(obj(name=S, role=S))),
        "Helga Brandt is the treasurer, Owen Price is the secretary and Lucia Moretti is the chair.",
        {
            "people": [
                {"name": "Helga Brandt", "role": "treasurer"},
                {"name": "Owen Price", "role": "secretary"},
                {"name": "Lucia Moretti", "role": "chair"},
            ]
        },
    ),
    (
        obj(author=S, title=S, pages=INTEGER, year=INTEGER),
        "'The Salt Road' by Ines Duarte, published in 2011, has 384 pages.",
        {"author": "Ines Duarte", "title": "The Salt Road", "pages": 384, "year": 2011},
    ),
    (obj(host=S, version=S), "Version 2.10.3 runs on 10.0.0.3.", {"host": "10.0.0.3", "version": "2.10.3"}),
    (
        obj(accident_free=B, fuel=one_of("petrol", "diesel")),
        "Diesel, never had an accident.",
        {
            "accident_free": True,
            "fuel": "diesel",
        },
    ),
    (
        obj(sensors=many(obj(id=S, temperature=N, unit=one_of("C", "F")))),
        "Sensor T1 reads 21.5 C, sensor T2 reads 19 C.",
        {"sensors": [{"id": "T1", "temperature": 21.5, "unit": "C"}, {"id": "T2", "temperature": 19, "unit": "C"}]},
    ),
    (
        obj(订单号=S, 金额=N, 姓名=S),
        "姓名:陈晓明,订单号:A20931,金额:358元。",
        {"订单号": "A20931", "金额": 358, "姓名": "陈晓明"},
    ),
    (
        obj(founded_year=INTEGER, employees=INTEGER),
        "Veltra was founded in 1998 and has 240 employees.",
        {"founded_year": 1998, "employees": 240},
    ),
    (obj(name=S, age=INTEGER), "Hi, I'm Vera Blom and I am 61.", {"name": "Vera Blom", "age": 61}),
    (
        obj(ticket_number=S, opened_by=S),
        "Ticket #90317, opened by Otis Grant.",
        {"ticket_number": "90317", "opened_by": "Otis Grant"},
    ),
    (
        obj(price=N, currency=one_of("USD", "EUR", "GBP"), size=one_of("S", "M", "L")),
        "The raincoat in size L is 75.20 GBP.",
        {"price": 75.2, "currency": "GBP", "size": "L"},
    ),
    (
        obj(due_date=DATE, birth_date=DATE),
        "Born on 5 May 1988. The form is due by 2026-10-01.",
        {"due_date": "2026-10-01", "birth_date": "1988-05-05"},
    ),
    (obj(dog=S), "The dog Pepper was prescribed carprofen.", {"dog": "Pepper"}),
    (obj(area_m2=N), "The loft has 90 square metres and belongs to Sten Dahl.", {"area_m2": 90}),
    (
        obj(温度=N, 年龄=INTEGER, 价格=N, 重量_kg=N),
        "室内19度，她今年7岁，书包重2公斤，卖88元。",
        {"温度": 19, "年龄": 7, "价格": 88, "重量_kg": 2},
    ),
    (obj(收件人=S), "收件人：唐宁，尽快送达。", {"收件人": "唐宁"}),
    (obj(first_editor=S), "Edited by Olga Brenner.", {"first_editor": "Olga Brenner"}),
    (obj(sender=S, recipient=S), "Ilse sent a card to Bruno.", {"sender": "Ilse", "recipient": "Bruno"}),
    (obj(rent=N), "It has no garden, but the rent is 640 euros.", {"rent": 640}),
    (obj(previous_owner=S), "The previous owner was Ada Lunde.", {"previous_owner": "Ada Lunde"}),
    (obj(bowls=INTEGER), "Could you send us 14 bowls?", {"bowls": 14}),
    (obj(lift=B, cellar=B), "The flat has a cellar but no lift.", {"lift": False, "cellar": True}),
    (obj(brother=S), "My brother Aksel lives here.", {"brother": "Aksel"}),
    (obj(unit_price=N), "We took 6 bowls at a unit price of 9 euros.", {"unit_price": 9}),
    (obj(passenger=S), "Passenger Irma Sole was late.", {"passenger": "Irma Sole"}),
    (obj(time=S), "Come at 9 pm.", {"time": "9 pm"}),
    (obj(job=S, status=S), "job=purge status=done", {"job": "purge", "status": "done"}),
    (obj(姓名=S, 时间=S), "姓名：唐宁，时间：下午两点。", {"姓名": "唐宁", "时间": "下午两点"}),
]


@pytest.mark.parametrize(("schema", "text", "value"), SUPPORTED)
def test_what_the_text_plainly_says_is_given_and_not_declared(
    schema: dict[str, Any], text: str, value: dict[str, Any]
) -> None:
    assert fill(schema, text) == (value, [])


CLEAR: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    (obj(name=S), "Name: Ada", {"name": "Ada"}),
    (obj(date=DATE, city=S), "The meeting is on 3 May 2026 in Oslo.", {"date": "2026-05-03", "city": "Oslo"}),
    (obj(email=EMAIL), "Write to ann@one.example before noon.", {"email": "ann@one.example"}),
    (obj(deposit=N, rent=N), "The rent is 640 euros, the deposit is 900 euros.", {"deposit": 900, "rent": 640}),
    (obj(shelf=INTEGER), "It lies on shelf 14.", {"shelf": 14}),
    (obj(opened_by=S), "It was opened by P. Orlov. He left.", {"opened_by": "P. Orlov"}),
    (obj(start_date=S, end_date=S), "From 3 May to 9 May.", {"start_date": "3 May", "end_date": "9 May"}),
    (obj(押金=N, 租金=N), "租金1800元，押金是3600元。", {"押金": 3600, "租金": 1800}),
    (obj(reporter=S), "Door stuck. Reporter: Ida Falk, priority high", {"reporter": "Ida Falk"}),
    (obj(费用=N), "费用一千八。", {"费用": 1800}),
    (obj(author=S), "Author: Jo Holm (pseudonym)", {"author": "Jo Holm"}),
]


@pytest.mark.parametrize(("schema", "text", "value"), CLEAR)
def test_what_stands_on_evidence_is_not_declared(schema: dict[str, Any], text: str, value: dict[str, Any]) -> None:
    assert fill(schema, text) == (value, [])


UNPROVEN: list[tuple[str, dict[str, Any], str, Any]] = [
    ("a role noun that is no name", obj(role=S), "Sister Hallam called about the test.", None),
    ("what is over", obj(trainer=S), "Our trainer Ivar resigned in May.", "Ivar"),
    ("what was called off", obj(日期=S, 地点=S), "原定6月2日在沈阳开的会取消了。", None),
    ("what is doubted", obj(keeper=S), "I doubt that Edda is the keeper.", None),
    ("a year as a sum", obj(repair_cost=N), "It was repaired in 2018 for 4000 euros.", None),
    ("a number of another unit", obj(baking_minutes=INTEGER), "Bake at 190 degrees.", None),
]


@pytest.mark.parametrize(("schema", "text", "kept"), [row[1:] for row in UNPROVEN], ids=[row[0] for row in UNPROVEN])
def test_a_value_without_evidence_stays_and_is_declared(schema: dict[str, Any], text: str, kept: Any) -> None:
    value, declared = fill(schema, text)
    assert declared == list(schema["properties"])
    assert kept in (None, *value.values())


DOUBTED: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("one of two prices", obj(price=N), "The chair is 120 euros, the table is 340 euros.", ["price"]),
    ("a difference", obj(price=N), "The other one is 15 euros cheaper.", ["price"]),
    ("a difference of something", obj(price=N), "The chair is 15 euros dearer.", ["price"]),
    ("what the other one has", obj(area_m2=N), "It is small. The one on Mill Lane had 70 m².", ["area_m2"]),
    ("what somebody else has", obj(dogs=INTEGER), "We have none, somebody else here has 3 dogs.", ["dogs"]),
    ("one of two counts", obj(crates=INTEGER), "Hall A holds 90 crates, hall B only 40.", ["crates"]),
    ("one of two addresses", obj(email=EMAIL), "Write to ann@one.example or bob@two.example.", ["email"]),
    ("one of two dates", obj(date=DATE), "We moved from 2025-01-02 to 2025-01-09.", ["date"]),
    ("one of two options", obj(drink=one_of("tea", "coffee")), "Which is better, tea or coffee?", ["drink"]),
    ("a number that counts rooms", obj(name=S, age=INTEGER), "Room 214 was booked by Petra Lang.", ["name", "age"]),
    ("a company as a person", obj(company=S, ceo=S), "Veltra was founded in 1998.", ["company", "ceo"]),
    ("a first word as a product", obj(product=S), "Waste of money.", ["product"]),
    ("a river as a city", obj(city=S), "The village lies on a hill beside the Drava.", ["city"]),
    ("figures as a score", obj(answer=S, score=N), "It has 2 authors and 18 figures.", ["answer", "score"]),
    ("a nice lamp as a name", obj(name=S, price=N), "这款台灯很好看。", ["name", "price"]),
    ("a company as its head", obj(company=S, ceo=S), "Contact Veltra.", ["company", "ceo"]),
    (
        "all of nothing",
        obj(name=S, age=INTEGER, active=B, tags=many(S), address=obj(street=S, zip=S)),
        "It rained all day.",
        ["name", "age", "active", "tags", "address.street", "address.zip"],
    ),
    ("没有的电话", obj(姓名=S, 电话=S), "陈晓明,今年34岁。", ["电话"]),
    ("what stands in a rating as a dish", obj(dish=S), "Lunch was worth 3 stars.", ["dish"]),
    ("an airport as an airline", obj(airline=S), "We fly from ZRH tomorrow.", ["airline"]),
    ("a letter as a place", obj(location=S), "Ward D is full.", ["location"]),
    ("where a bus goes as where it starts", obj(departs=S), "The bus leaves for Nafplio.", ["departs"]),
    ("the number of an account as a price", obj(unit_price=N), "Cost account 6150: two desks.", ["unit_price"]),
    ("a width as a length", obj(length_m=N), "The canal is 24 m wide.", ["length_m"]),
    ("a measure without its dimension as a height", obj(height_m=N), "The tower stands 80 m from here.", ["height_m"]),
    ("hectares as a count", obj(number_of_fields=INTEGER), "The farm has 15 hectares.", ["number_of_fields"]),
    ("an owner as the pet", obj(horse_name=S), "Ludmila's horse won.", ["horse_name"]),
    ("a loser as the winner", obj(winner=S), "Pavel lost to Henriette.", ["winner"]),
    ("a purchase as a delivery", obj(delivery_date=DATE), "It was bought on 2026-01-08.", ["delivery_date"]),
    ("a rent as a deposit", obj(deposit=N), "The rent is 700 euros.", ["deposit"]),
    ("the number of a room as an amount", obj(amount=N), "Hall 6 is cold.", ["amount"]),
    ("the number of a contract as a debt", obj(debt=N), "Contract 77031 has ended.", ["debt"]),
    ("what somebody else did", obj(author=S), "The account was closed by Jon Falk.", ["author"]),
    ("a question as a fact", obj(parking_included=B), "Is parking included?", ["parking_included"]),
    ("a neighbour of the thing that is asked for", obj(pets_allowed=B), "A dog barked all night.", ["pets_allowed"]),
    ("后面的人", obj(司机=S), "黄磊的车坏了。", ["司机"]),
    ("a denial", obj(discount=N), "They did not grant the 40 euros discount.", ["discount"]),
    ("a denied name", obj(captain=S), "The captain is not Ludo Maes.", ["captain"]),
    ("a condition", obj(rent=N), "If the rent is 600 euros, we take it.", ["rent"]),
    ("a guess", obj(date=DATE), "Perhaps it was 3 May 2024.", ["date"]),
    ("a wish", obj(city=S), "I hope we live in Aveiro one day.", ["city"]),
    ("a question", obj(price=N), "Is 30 euros the price?", ["price"]),
    ("a bygone", obj(employer=S), "She formerly worked at Brandtwerk.", ["employer"]),
    ("听来的事", obj(城市=S), "他可能住在兰州。", ["城市"]),
    ("a name without its number", obj(machine=S), "The machine Torvald 12 stopped.", ["machine"]),
    ("figures without their letters", obj(train=S), "Take train ICX 77.", ["train"]),
    ("a version without its end", obj(version=S), "We run 3.1.0-beta here.", ["version"]),
    ("what another label names", obj(duration_minutes=N), "Rising: 50 minutes.", ["duration_minutes"]),
    ("a label for something else", obj(door=S), "Door bell: broken since May", ["door"]),
    ("the value of another city", obj(city=S, degrees=N), "Gijon: 21 degrees, Vigo: 17", ["city", "degrees"]),
    ("a sister's illness", obj(asthma=B), "Her sister has asthma.", ["asthma"]),
    ("a range", obj(visitors=INTEGER), "There were 200 to 250 visitors.", ["visitors"]),
    ("the whole of a part", obj(broken_lamps=INTEGER), "2 of 7 lamps are broken.", ["broken_lamps"]),
    ("what one costs as the sum", obj(total=N), "We took 6 bowls at 9 euros each.", ["total"]),
    ("another sum", obj(price=N), "The deposit was 80 euros.", ["price"]),
    ("a measure of another thing", obj(honey_g=N), "Replace the honey by 90 g sugar.", ["honey_g"]),
    ("a dose as a weight", obj(weight_kg=N), "He was given 20 mg.", ["weight_kg"]),
    ("one of two names", obj(name=S), "Wilma danced and Otto sang.", ["name"]),
    ("one of two days of a kind", obj(date=DATE), "On 2026-01-08 it snowed, on 2026-01-09 too.", ["date"]),
    ("a name as a number", obj(card_number=S), "The card of Ruben Falk was lost.", ["card_number"]),
    ("a place as its head", obj(mayor=S), "The mayor of Tarragona resigned.", ["mayor"]),
    ("what is said of somebody as his name", obj(patient=S), "The patient was sedated.", ["patient"]),
    ("a contraction as a place", obj(city=S), "We'd stay in May.", ["city"]),
    ("a thing that is gone", obj(balcony=B), "The balcony is gone.", ["balcony"]),
    ("a neighbouring verb", obj(repaired=B), "The repair shop is closed.", ["repaired"]),
    ("an option of another thing", obj(risk=one_of("low", "high")), "The high tower was painted.", ["risk"]),
    ("another form of an option", obj(state=one_of("open", "closed")), "Please close it gently.", ["state"]),
    ("a unit as a market", obj(market=one_of("USD", "EUR")), "It costs 12 EUR.", ["market"]),
    ("what was won as the winner", obj(winner=S), "Hedda, who won there before, came fifth.", ["winner"]),
    ("one of the sums behind a label", obj(fee=N), "Entry fee: seniors 4 euros, pupils 2 euros.", ["fee"]),
    (
        "what another end of the sentence speaks of",
        obj(pickup_time=S),
        "Lunch is at 12:15, for all of us, in the yard, with cake, and the pickup follows.",
        ["pickup_time"],
    ),
    ("没有姓的人", obj(姓名=S), "天气好得很，跑步去。", ["姓名"]),
    (
        "one of the things as all of them",
        obj(total_weight_kg=N),
        "The first crate is empty, the second one has 40 kg.",
        ["total_weight_kg"],
    ),
    ("who was it as who is it", obj(current_tenant=S), "The tenant was Ada Lunde.", ["current_tenant"]),
    (
        "what is off later on",
        obj(opening_date=S),
        "Ivo: so the opening is 9 June.\nAda: 9 June is off, the hall burned down.",
        ["opening_date"],
    ),
    (
        "the owner of another one that was found",
        obj(owner=S),
        '{"found":[{"shop":"Alder","owner":null},{"shop":"Alder & Son","owner":"Ida Holm"}]}',
        ["owner"],
    ),
    ("what stands in brackets for a value", obj(porter=S), "Porter: (stamp)", ["porter"]),
    ("how many as a code", obj(order_number=S), "I ordered 2 lamps.", ["order_number"]),
    ("how long as how often", obj(times_per_day=INTEGER), "One pill for 7 days.", ["times_per_day"]),
    ("what was waived", obj(fine=N), "A fine of 250 waived by the clerk.", ["fine"]),
    ("a null as a word", obj(coupon=S), '{"coupon": null, "status": "sent"}', ["coupon"]),
    ("who did something else before a comma", obj(checked_by=S), "Packed by Leo, checked by nobody.", ["checked_by"]),
    ("the other version", obj(version=S), "The export hangs since 6.2, under 6.1.4 it was fine.", ["version"]),
    ("what the sender of a letter is not", obj(supplier_contact=S), "From: Ida Falk\nHello", ["supplier_contact"]),
    (
        "what is granted to one and denied to another",
        obj(good_with_dogs=B),
        "Good with us, not with dogs.",
        ["good_with_dogs"],
    ),
    ("a number that goes on", obj(年龄=N), "孩子3岁半。", ["年龄"]),
    ("the most that there is", obj(points=INTEGER), "Physics (max. 40 points): Ida was ill.", ["points"]),
    ("what was hoped for", obj(duration_days=INTEGER), "They had hoped for 12 days.", ["duration_days"]),
    ("what is kept back", obj(owner=S), "Owner: WITHHELD BY LAW", ["owner"]),
    (
        "where it is no more",
        obj(platform=INTEGER),
        "It was moved off platform 4, the new one is open.",
        ["platform"],
    ),
    (
        "the year of what is gone",
        obj(year_built=INTEGER),
        "A first mill, built in 1702, was washed away.",
        ["year_built"],
    ),
    ("a clause as a name", obj(hall=S), "Hall: the porter will tell you", ["hall"]),
    ("what is calculated", obj(oven_c=N), "Heat the oven to 400 F.", ["oven_c"]),
    (
        "what one of two speakers has",
        obj(fee=N),
        "Ida: the fee was 40\nOtto: not what I paid\nIda: and yours?\nOtto: let me look",
        ["fee"],
    ),
    (
        "a date without what the description tells",
        obj(date={**S, "description": "the day on which the bridge is closed"}),
        "Notice of 3 May 2026: the bridge needs repairs.",
        ["date"],
    ),
    ("the last one of a kind as any", obj(last_day=S), "We talked on 12 Dec.", ["last_day"]),
    ("介绍人的电话", obj(电话=S), "他的介绍人是唐宁，电话13900005678。", ["电话"]),
]


@pytest.mark.parametrize(("schema", "text", "declared"), [row[1:] for row in DOUBTED], ids=[row[0] for row in DOUBTED])
def test_what_the_text_does_not_tie_to_its_field_is_declared(
    schema: dict[str, Any], text: str, declared: list[str]
) -> None:
    assert fill(schema, text)[1] == declared


UNSUPPORTED: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    (obj(phone=S), "The two rooms on floor 4 are ready.", {"phone": ""}),
    (obj(email=S), "Ask Vera Holt at the desk.", {"email": ""}),
    (obj(error_code=S), "It stops every ten minutes on Firefox 130.", {"error_code": ""}),
    (obj(medication=S), "Hello, this is Olga Brandt, I need an appointment.", {"medication": ""}),
    (obj(caterer=S), "Anyone but Mr Brandt this time.", {"caterer": ""}),
    (obj(substitute=S), "Perhaps Tobias stands in for me.", {"substitute": ""}),
    (obj(salary=N), "He has worked here for 12 years.", {"salary": 0}),
    (obj(discount_percent=N), "Six stools at 48.00 EUR each.", {"discount_percent": 0}),
    (obj(has_dog=B), "Is a dog allowed?", {"has_dog": False}),
    (obj(level=one_of("basic", "expert")), "The course starts in May.", {"level": "basic"}),
    (obj(tags=many(S)), "The course starts in May.", {"tags": []}),
    (obj(电话=S), "两个房间都空着。", {"电话": ""}),
    (obj(酒店=S), "我从杭州东站出发。", {"酒店": ""}),
    (obj(审批人=S), "记一笔打车费，36元。", {"审批人": ""}),
    (obj(change=N), "Paid cash    20,00\nChange        ██", {"change": 0}),
    (obj(weekday=one_of("周一", "周三")), "约一次面谈，除了周三都可以，周三我要出差。", {"weekday": "周一"}),
    (obj(invoice_number=S), "Invoice date: 09.06.2026\nTotal: 30 EUR", {"invoice_number": ""}),
    (obj(next_venue_city=S), "Next venue: we'll see about that", {"next_venue_city": ""}),
    (obj(phone=S), "Hello, my order #412-7788 came without its lid.", {"phone": ""}),
    (obj(doctor=S), "Dr. Falk was late again, so please not him.", {"doctor": ""}),
    (obj(price=N), "It was offered at 90, the one beside it was sold for 75.", {"price": 0}),
]


@pytest.mark.parametrize(("schema", "text", "least"), UNSUPPORTED)
def test_what_the_text_does_not_support_is_the_least_value_and_declared(
    schema: dict[str, Any], text: str, least: dict[str, Any]
) -> None:
    assert fill(schema, text) == (least, list(least))


LIKELY: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    (obj(meeting_date=S), "Minutes of the garden committee, 3 May 2026", {"meeting_date": "3 May 2026"}),
    (obj(patient=S), "Reception: Mrs Irene Falk rang about a form for Dr Orr.", {"patient": "Irene Falk"}),
    (obj(rice_grams=INTEGER), "Boil 80 g rice, then add 200 g spinach.", {"rice_grams": 80}),
    (obj(supplier=S), "Norrby Timber Ltd\nQuote for two doors", {"supplier": "Norrby Timber Ltd"}),
    (obj(start_date=DATE), "Leave please, 3 May 2026 to 9 May 2026.", {"start_date": "2026-05-03"}),
    (obj(quantity=INTEGER), "订货30箱，周五要。", {"quantity": 30}),
    (obj(wait_minutes=INTEGER), "我们等了35分钟。", {"wait_minutes": 35}),
    (obj(company=S), "Veltra was founded in 1998.", {"company": "Veltra"}),
    (obj(owner=S), "The loft belongs to Sten Dahl.", {"owner": "Sten Dahl"}),
    (obj(clinic=S), "She went to Marlow Clinic for it.", {"clinic": "Marlow Clinic"}),
]


@pytest.mark.parametrize(("schema", "text", "value"), LIKELY)
def test_a_likely_value_of_the_kind_stands_and_is_declared(
    schema: dict[str, Any], text: str, value: dict[str, Any]
) -> None:
    assert fill(schema, text) == (value, list(value))


def test_a_list_of_which_one_record_is_found_may_lack_others_and_is_declared_as_a_whole() -> None:
    cakes = many(obj(product=S, price=N))
    assert fill(obj(cakes=cakes), "Carrot cake: 3.50 EUR") == (
        {"cakes": [{"product": "Carrot cake", "price": 3.5}]},
        ["cakes"],
    )
    assert fill(obj(cakes=cakes), "Carrot cake: 3.50 EUR\nPlum cake: 4.00 EUR")[1] == []


def test_an_optional_field_without_a_reason_is_left_out() -> None:
    schema = obj(("po_number", "phone", "discount"), total=N, po_number=S, phone=S, discount=N)
    text = "Receipt: two cappuccinos and a cheesecake, total 14.20 euros."
    assert fill(schema, text) == ({"total": 14.2}, [])


def test_a_nullable_field_without_a_reason_is_null_and_declared() -> None:
    schema = obj(price={"anyOf": [N, {"type": "null"}]})
    assert fill(schema, "The chair is 120 euros, the table is 340 euros.") == ({"price": None}, ["price"])


def test_a_choice_from_a_numbered_list_is_declared() -> None:
    text = (
        "Some choices are given below.\n(1) A summary about tea\n(2) A summary about steel\nWhich one fits 'green tea'?"
    )
    assert forced(obj(index=INTEGER, reason=S), text)[1] == ["index", "reason"]


def test_a_forced_call_takes_the_option_that_the_words_support() -> None:
    assert forced(obj(drink=one_of("tea", "coffee")), "I'll have the coffee.") == ({"drink": "coffee"}, [])
    assert forced(obj(mood=one_of("good", "bad")), "The soup was cold and I hated it.") == ({"mood": "bad"}, [])


def test_a_forced_call_without_any_support_declares_every_argument() -> None:
    value, declared = forced(obj(title=S, pages=INTEGER, final=B), "It rained all day.")
    assert value == {"title": "", "pages": 0, "final": False}
    assert declared == ["title", "pages", "final"]


MENTIONED: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    (obj(minutes=INTEGER), "Set a timer for 40 minutes. Actually the loaf is small, so 30.", {"minutes": 0}),
    (obj(amount=INTEGER), "Send 45 euros to Dana. Oh wait, make it 54.", {"amount": 0}),
    (obj(song=S, artist=S), "播放唐宁的《归途》", {"song": ""}),
    (obj(days=INTEGER), "Extend my ticket, please. Are 5 days the most?", {"days": 0}),
    (obj(dentist=S), "Make an appointment with any dentist but Dr. Orr.", {"dentist": ""}),
    (obj(portions=INTEGER), "Order a cake for the twins. They'll be seven.", {}),
    (obj(time=S), "Can you get me a cab, my train is at 5:40", {}),
    (obj(passengers=INTEGER), "Book me a taxi, so say 5.", {}),
]


@pytest.mark.parametrize(("schema", "text", "taken"), MENTIONED)
def test_what_a_command_corrects_asks_for_or_leaves_out_is_no_argument(
    schema: dict[str, Any], text: str, taken: dict[str, Any]
) -> None:
    value, declared = forced(schema, text)
    assert {name: value[name] for name in taken} == taken
    assert set(declared) == {name for name in schema["properties"] if not taken.get(name)}


WAYS: list[tuple[str, dict[str, str]]] = [
    ("帮我订从兰州去贵阳的机票", {"origin": "兰州", "destination": "贵阳"}),
    ("帮我订一张去贵阳的机票。", {"origin": "", "destination": "贵阳"}),
    ("Book me a flight from Oslo to Bergen.", {"from_city": "Oslo", "to_city": "Bergen"}),
    ("Book me a flight to Bergen.", {"from_city": "", "to_city": "Bergen"}),
]


@pytest.mark.parametrize(("text", "ends"), WAYS)
def test_where_a_way_begins_and_ends_is_told_by_its_preposition(text: str, ends: dict[str, str]) -> None:
    flight = function("book_flight", "Book a flight", obj(**dict.fromkeys(ends, S)))
    answer = asked(text, tools=[flight], tool_choice="required")
    assert json.loads(answer.parts[0]["arguments"]) == ends
    assert answer.invented == [f"tool_calls.0.arguments.{name}" for name, city in ends.items() if not city]


def test_a_number_of_the_question_that_is_the_request_is_an_argument() -> None:
    assert forced(obj(days=INTEGER), "Will it rain in the next 3 days?") == ({"days": 3}, [])


def test_a_statement_is_no_argument_of_a_forced_call() -> None:
    assert forced(obj(vendor=S, cost_type=S), "The repair was expensive.")[1] == ["vendor", "cost_type"]


PHRASES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("what nobody orders", obj(dish=S, note=S), "The stairs are being painted.", ["dish", "note"]),
    ("what is forbidden", obj(title=S), "Don't make a list of it.", ["title"]),
    ("who is told of", obj(customer=S), "Ottilie would like a lamp for the cellar.", ["customer"]),
    ("the rest of a sentence", obj(label=S, time=S), "Ring at 6:45, not at 8.", ["label"]),
    ("what is only thought of", obj(person=S), "Maybe we could ask Hedda.", ["person"]),
]


@pytest.mark.parametrize(("schema", "text", "declared"), [row[1:] for row in PHRASES], ids=[row[0] for row in PHRASES])
def test_a_phrase_that_is_left_over_in_a_forced_call_is_declared(
    schema: dict[str, Any], text: str, declared: list[str]
) -> None:
    assert set(declared) <= set(forced(schema, text)[1])


def test_a_phrase_is_taken_as_the_object_of_the_verb_of_the_tool() -> None:
    answer = asked("Remind me to fold the towels", tools=[REMINDER])
    assert json.loads(answer.parts[0]["arguments"]) == {"text": "fold the towels"}
    assert answer.invented == []


def test_in_an_item_of_a_list_the_only_value_of_a_kind_needs_no_word() -> None:
    text = "- Rope, 12.00 EUR\n- Hook, 3.50 EUR"
    value = {"parts": [{"name": "Rope", "retail_price": 12}, {"name": "Hook", "retail_price": 3.5}]}
    assert fill(obj(parts=many(obj(name=S, retail_price=N))), text) == (value, [])
    assert fill(obj(retail_price=N), "The shed costs 12.00 EUR.") == ({"retail_price": 12}, ["retail_price"])


def test_the_arguments_that_an_agent_wrote_down_are_supported() -> None:
    text = 'Thought: I need the weather.\nAction: submit\nAction Input: {"city": "Graz", "days": 3}'
    assert forced(obj(city=S, days=INTEGER), text) == ({"city": "Graz", "days": 3}, [])


MESSAGE = function("send_message", "Send a text message to a contact", obj(recipient=S, text=S))
MONEY = function("transfer_money", "Transfer money to a person", obj(("note",), amount=N, to=S, note=S))
EXCHANGE = function("exchange", "Convert money between currencies", obj(**{"amount": N, "from": S, "to": S}))
REMINDER = function("set_reminder", "Remind the user of something", obj(("when",), text=S, when=S))
HOTEL = function("book_hotel", "Book a hotel room", obj(("guests",), city=S, nights=INTEGER, guests=INTEGER))
ROUTE = function("route", "Directions from one place to another", obj(start=S, destination=S))
TRANSLATE = function("translate", "Translate a text", obj(text=S, language=S))
DELETE = function("delete_file", "Delete a file", obj(path=S))
VOLUME = function("set_volume", "Set how loud the music is", obj(level=INTEGER))
OFFERED = [MESSAGE, MONEY, EXCHANGE, REMINDER, HOTEL, ROUTE, TRANSLATE, DELETE, VOLUME]

CALLED: list[tuple[str, str, dict[str, Any]]] = [
    ("Text Nora that I'm running late", "send_message", {"recipient": "Nora", "text": "I'm running late"}),
    ("What's 80 pounds in dollars?", "exchange", {"amount": 80, "from": "GBP", "to": "USD"}),
    (
        "Don't let me forget to call the plumber tomorrow",
        "set_reminder",
        {"text": "call the plumber", "when": "tomorrow"},
    ),
    ("Get me a hotel room in Porto for two nights", "book_hotel", {"city": "Porto", "nights": 2}),
    ("How do I get from Lyon to Nice?", "route", {"start": "Lyon", "destination": "Nice"}),
    ("从南京到苏州怎么走", "route", {"start": "南京", "destination": "苏州"}),
    ("How do you say 'play music' in Polish?", "translate", {"text": "play music", "language": "Polish"}),
    ("Remove /tmp/old.log", "delete_file", {"path": "/tmp/old.log"}),
    ("Set the volume to 30", "set_volume", {"level": 30}),
]


@pytest.mark.parametrize(("text", "name", "arguments"), CALLED)
def test_a_request_that_gives_all_that_is_needed_is_called(text: str, name: str, arguments: dict[str, Any]) -> None:
    answer = asked(text, tools=OFFERED)
    assert [(part["name"], json.loads(part["arguments"])) for part in answer.parts] == [(name, arguments)]
    assert answer.invented == []


@pytest.mark.parametrize(
    "text",
    [
        "Please do not send any message to Nora.",
        "I already booked the hotel in Porto, thanks.",
        "I deleted the file yesterday by mistake.",
        "Thanks for translating that!",
        "不用提醒我了",
        "我已经订了酒店",
    ],
)
def test_what_is_refused_or_was_done_already_calls_no_tool(text: str) -> None:
    assert [part["type"] for part in asked(text, tools=OFFERED).parts] == ["text"]


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        ("Transfer some money to Lars", "amount"),
        ("Set the volume", "level"),
        ("Book a hotel in Porto please", "nights"),
    ],
)
def test_a_number_that_a_call_needs_is_asked_for(text: str, lacking: str) -> None:
    (part,) = asked(text, tools=OFFERED).parts
    assert part["type"] == "text"
    assert lacking in part["text"]


MEETING = function("create_meeting", "Set up a meeting", obj(title=S, date=DATE, person=S, minutes=INTEGER))
CANCEL = function("cancel_order", "取消订单", obj(order_id={**S, "description": "订单号"}))


def test_a_call_of_which_most_is_given_is_made_without_a_number() -> None:
    answer = asked("Set up a meeting with Nora Lind on 3 May 2026 called 'Roof repair'.", tools=[MEETING])
    arguments = {"title": "Roof repair", "date": "2026-05-03", "person": "Nora Lind", "minutes": 0}
    assert [json.loads(part["arguments"]) for part in answer.parts] == [arguments]
    assert answer.invented == ["tool_calls.0.arguments.minutes"]


@pytest.mark.parametrize("taken_back", ["No wait, forget it.", "Never mind.", "算了。"])
def test_a_request_that_is_taken_back_calls_nothing(taken_back: str) -> None:
    answer = asked(f"Set up a meeting with Nora Lind on 3 May 2026 called 'Roof repair'. {taken_back}", tools=[MEETING])
    assert all(part["type"] == "text" for part in answer.parts)


def test_a_name_behind_the_label_of_an_argument_is_passed_on() -> None:
    listen = function("transcribe", "Write down a recording", obj(audio={**S, "description": "A URL, or a name"}))
    look = function("look_at_images", "Look at images", obj(images=many(S), question=S))
    heard = asked("transcribe audio: sound-07ab.wav", tools=[listen, look])
    seen = asked("Look at images. question: Is it red? images: image-07ab.png", tools=[listen, look])
    assert json.loads(heard.parts[0]["arguments"]) == {"audio": "sound-07ab.wav"}
    assert json.loads(seen.parts[0]["arguments"])["images"] == ["image-07ab.png"]


@pytest.mark.parametrize("asking", ["Is there a dog in photo-07ab.jpg?", "photo-07ab.jpg 里有狗吗？"])
def test_a_question_about_a_file_is_put_as_it_is_with_the_files_name(asking: str) -> None:
    look = function("inspect_photos", "Inspect photos and answer a question", obj(images=many(S), question=S))
    answer = asked(asking, tools=[look])
    assert json.loads(answer.parts[0]["arguments"]) == {"images": ["photo-07ab.jpg"], "question": asking}


def test_a_question_is_put_as_it_is_to_a_tool_that_takes_an_input() -> None:
    ask = function("library_handbook", "Knows about the library", obj(input=S))
    answer = asked("When does the library open?", tools=[ask])
    assert json.loads(answer.parts[0]["arguments"]) == {"input": "When does the library open?"}
    assert answer.invented == []


def test_what_is_dictated_behind_a_colon_is_taken_as_it_is() -> None:
    speak = function("speak", "Read a text aloud", obj(text=S))
    answer = asked("Please read aloud: the late bus is here", tools=[speak])
    assert json.loads(answer.parts[0]["arguments"]) == {"text": "the late bus is here"}


def test_a_code_ends_where_chinese_begins() -> None:
    answer = asked("订单B70412我不要了，请取消。", tools=[CANCEL])
    assert [json.loads(part["arguments"]) for part in answer.parts] == [{"order_id": "B70412"}]
    assert answer.invented == []


LONE: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("a Chinese name without an end", obj(房间=S), "把客厅空调打开", ["房间"]),
    ("whom to call is no city", obj(city=S), "Remind me to call Bob", ["city"]),
    ("whom to call is no city beside the text", obj(city=S, text=S), "Remind me to call Bob", ["city", "text"]),
    ("where one is going is no place", obj(place=S), "Remind me on the way to work", ["place"]),
    ("the rest of a moment is no title", obj(day=S, title=S), "Remind me Monday morning of tea", ["title"]),
]


@pytest.mark.parametrize(("schema", "text", "declared"), [row[1:] for row in LONE], ids=[row[0] for row in LONE])
def test_a_lone_name_of_a_request_is_declared(schema: dict[str, Any], text: str, declared: list[str]) -> None:
    answer = asked(text, tools=[function("remind", "Reminds somebody", schema)], tool_choice="required")
    assert set(declared) <= {path.removeprefix("tool_calls.0.arguments.") for path in answer.invented}


def test_a_place_behind_its_preposition_is_not_declared() -> None:
    answer = asked("What's the weather in Paris?", tools=[function("get_weather", "The weather", obj(city=S))])
    assert json.loads(answer.parts[0]["arguments"]) == {"city": "Paris"}
    assert answer.invented == []


def test_an_optional_argument_is_filled_only_on_evidence() -> None:
    schema = obj(("unit",), city=S, unit=one_of("celsius", "fahrenheit"))
    tools = [function("get_weather", "The weather of a city", schema)]
    assert json.loads(asked("Weather in Oslo, please", tools=tools).parts[0]["arguments"]) == {"city": "Oslo"}
    value = {"city": "Oslo", "unit": "fahrenheit"}
    assert json.loads(asked("Weather in Oslo, in fahrenheit", tools=tools).parts[0]["arguments"]) == value


def test_a_statement_tells_more_about_the_command_before_it() -> None:
    answer = asked("Remind me to water the plants. The file is on my desk.", tools=OFFERED)
    assert [part["name"] for part in answer.parts] == ["set_reminder"]


@pytest.mark.parametrize("text", ["Remember to mow the lawn.", "Remember to thank Ann.", "Remember to repair my bike."])
def test_a_deed_after_to_is_no_place(text: str) -> None:
    answer = asked(text, tools=[function("remember", "Remembers something", obj(place=S))], tool_choice="required")
    assert answer.invented == ["tool_calls.0.arguments.place"]


OF_ANOTHER: list[tuple[dict[str, Any], str, str, Any]] = [
    (obj(recipient=S, amount=N), "wire Noor 30 euros for the tent", "recipient", "tent"),
    (obj(people=INTEGER), "Please reserve room 405 for the seminar", "people", 0),
    (obj(people=INTEGER), "帮我订405教室", "people", 0),
    (obj(seats=INTEGER), "restart worker-7 please", "seats", 0),
    (obj(nights=INTEGER), "rent me a 2 bedroom flat", "nights", 0),
    (obj(table=one_of("inside", "garden")), "Reserve at six. Last time we sat in the garden.", "table", "garden"),
    (obj(seat=one_of("窗边", "吧台")), "订位,上次我们坐吧台。", "seat", "窗边"),
    (obj(spare_key=B), "Book the hut. Would there be a spare key?", "spare_key", False),
    (obj(spare_key=B), "My key is lost, book the hut.", "spare_key", False),
    (obj(parking=B), "民宿出租,停车请咨询房东。", "parking", False),
    (obj(breakfast=B), "订一间房,要不要早餐再说", "breakfast", False),
    (obj(asthma=B), "Coughs at night, mother had asthma.", "asthma", False),
    (obj(from_city=S, date=DATE), "订一张到合肥的票", "from_city", ""),
    (obj(room=S), "厨房风扇调高一点", "room", "风扇调高"),
    (obj(name=S, day=S), "Wash the car on Sunday, the key is with Mrs Thorne", "name", ""),
    (obj(humidity=N), "tank 12 humidity 40.5", "humidity", 0),
    (obj(breakfast=B), "Book the inn, breakfast is not important", "breakfast", False),
    (obj(time={"type": "string", "format": "time"}), "meet me at five o'clock", "time", "05:00:00"),
]


@pytest.mark.parametrize(("schema", "text", "name", "kept"), OF_ANOTHER)
def test_what_is_of_another_kind_or_thing_is_declared(schema: dict[str, Any], text: str, name: str, kept: Any) -> None:
    value, declared = forced(schema, text)
    assert (name in declared, value[name]) == (True, kept)


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (obj(time={**S, "description": "as HH:MM"}), "set it for quarter to nine in the evening", {"time": "20:45"}),
        (obj(time={**S, "description": "HH:MM"}), "设在下午三点二十", {"time": "15:20"}),
        (obj(time={**S, "description": "HH:MM"}), "set it for five o'clock", {"time": "five o'clock"}),
        (obj(queue=S), "重启 worker-7 这个 pod，queue 是 orders", {"queue": "orders"}),
        (obj(name=S), "Reserve two seats in the name of Lindqvist", {"name": "Lindqvist"}),
        (obj(gift_box=B), "Send the mug with a gift box", {"gift_box": True}),
        (obj(parking=B), "房子没有停车位。", {"parking": False}),
    ],
)
def test_what_is_said_of_the_thing_itself_is_given(schema: dict[str, Any], text: str, value: dict[str, Any]) -> None:
    assert forced(schema, text) == (value, [])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ana moved to Lima in 2019. Total: 12.50 EUR", "total"),
        ("from 2024-05-06 to 2024-05-09", "from"),
        ("张伟今年28岁,住在成都。", "city"),
    ],
    ids=["a label with its amount", "a preposition", "where somebody lives"],
)
def test_a_word_that_names_no_thing_is_no_yes(text: str, name: str) -> None:
    value, listed = fill(obj(**{name: {"type": "boolean"}}), text)
    assert (value, listed) == ({name: False}, [name])
