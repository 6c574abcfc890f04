"""The table of everything that can be drawn: its words, drawing, usual colour, place and size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from infrai_runtime.vendors.local.draw import animal, place, plant, sky, thing
from infrai_runtime.vendors.local.draw.pen import Colour, Pen

Layer = Literal["far", "sky", "tall", "ground", "held", "water", "small"]


@dataclass(frozen=True, slots=True)
class Subject:
    """``size`` is half the height as a share of the picture's shorter side."""

    name: str
    words: tuple[str, ...]
    paint: Callable[[Pen, Colour], None]
    colour: Colour
    layer: Layer
    size: float
    living: bool = False


def _animal(words: str, paint: Callable[[Pen, Colour], None], colour: Colour, size: float = 0.21) -> Subject:
    names = tuple(words.split("|"))
    return Subject(names[0], names, paint, colour, "ground", size, living=True)


def _other(words: str, paint: Callable[[Pen, Colour], None], colour: Colour, layer: Layer, size: float) -> Subject:
    names = tuple(words.split("|"))
    return Subject(names[0], names, paint, colour, layer, size)


SUBJECTS: tuple[Subject, ...] = (
    _animal("raccoon|racoon|浣熊", animal.raccoon, (138, 138, 146)),
    _animal("cat|kitten|kitty|猫", animal.cat, (226, 150, 72)),
    _animal("dog|puppy|狗|小狗", animal.dog, (188, 134, 82)),
    _animal("fox|狐狸", animal.fox, (222, 112, 44)),
    _animal("bear|teddy|熊", animal.bear, (134, 90, 54)),
    _animal("panda|熊猫", animal.panda, (44, 42, 48)),
    _animal("rabbit|bunny|hare|兔子|兔", animal.rabbit, (196, 178, 162)),
    _animal("owl|猫头鹰", animal.owl, (140, 98, 62)),
    _animal("duck|duckling|鸭子|鸭", animal.duck, (246, 212, 74), 0.17),
    _animal("horse|pony|马", animal.horse, (152, 96, 56), 0.25),
    _animal("elephant|大象|象", animal.elephant, (146, 150, 162), 0.27),
    _animal("penguin|企鹅", animal.penguin, (44, 50, 66)),
    _animal(
        "person|man|woman|boy|girl|child|kid|people|human|人|男孩|女孩|孩子",
        thing.person,
        (66, 116, 190),
        0.25,
    ),
    _animal("robot|android|机器人", thing.robot, (112, 156, 184), 0.24),
    _other("bird|sparrow|robin|鸟|小鸟", animal.bird, (74, 134, 208), "sky", 0.09),
    _other("butterfly|蝴蝶", animal.butterfly, (232, 130, 60), "sky", 0.075),
    _other("fish|goldfish|鱼", animal.fish, (242, 132, 56), "water", 0.14),
    _other("maple tree|maple|枫树|枫", plant.maple, (214, 88, 40), "tall", 0.46),
    _other("pine|fir|christmas tree|松树", plant.pine, (46, 110, 76), "tall", 0.4),
    _other("palm tree|palm|棕榈", plant.palm, (70, 154, 84), "tall", 0.42),
    _other("tree|oak|forest|wood|woods|树|森林", plant.tree, (86, 158, 78), "tall", 0.44),
    _other("cactus|仙人掌", plant.cactus, (84, 150, 92), "tall", 0.27),
    _other("flower|rose|tulip|daisy|blossom|garden|花", plant.flower, (228, 92, 130), "small", 0.11),
    _other("mushroom|蘑菇", plant.mushroom, (208, 56, 52), "small", 0.09),
    _other("house|home|cottage|cabin|hut|房子|屋", place.house, (240, 220, 182), "tall", 0.27),
    _other("castle|palace|城堡", place.castle, (176, 172, 176), "tall", 0.36),
    _other("city|skyline|building|skyscraper|town|城市", place.city, (112, 124, 150), "far", 0.3),
    _other("bridge|桥", place.bridge, (196, 72, 56), "far", 0.27),
    _other("mountain|hill|alps|山", place.mountain, (124, 134, 158), "far", 0.34),
    _other("sun|sunrise|sunset|太阳|日出|日落", sky.sun, (250, 190, 50), "sky", 0.12),
    _other("moon|moonlight|月亮|月", sky.moon, (248, 238, 190), "sky", 0.11),
    _other("star|星星|星", sky.star, (250, 214, 90), "sky", 0.06),
    _other("cloud|云", sky.cloud, (248, 249, 252), "sky", 0.11),
    _other("rainbow|彩虹", sky.rainbow, (255, 255, 255), "sky", 0.36),
    _other("hot air balloon|balloon|热气球|气球", sky.balloon, (220, 74, 74), "sky", 0.16),
    _other("plane|airplane|aeroplane|飞机", thing.plane, (70, 122, 196), "sky", 0.17),
    _other("rocket|spaceship|火箭", thing.rocket, (214, 66, 62), "sky", 0.24),
    _other("car|automobile|taxi|汽车|车", thing.car, (212, 62, 56), "ground", 0.2),
    _other("bicycle|bike|自行车", thing.bicycle, (52, 122, 186), "ground", 0.2),
    _other("train|locomotive|火车", thing.train, (52, 110, 96), "ground", 0.24),
    _other("boat|ship|sailboat|船", thing.boat, (164, 88, 52), "water", 0.22),
    _other("book|novel|书", thing.book, (168, 52, 58), "held", 0.14),
    _other("cup|mug|coffee|tea|杯子|咖啡|茶", thing.cup, (92, 142, 190), "held", 0.13),
    _other("apple|苹果", thing.apple, (210, 52, 50), "held", 0.11),
    _other("cake|蛋糕", thing.cake, (240, 150, 178), "held", 0.15),
    _other("heart|love|爱心|心", thing.heart, (222, 58, 76), "held", 0.13),
    _other("guitar|吉他", thing.guitar, (192, 122, 62), "held", 0.2),
    _other("umbrella|雨伞|伞", thing.umbrella, (222, 76, 82), "held", 0.18),
    _other("clock|watch|钟", thing.clock, (120, 82, 52), "held", 0.14),
    _other("lamp|lantern|灯", thing.lamp, (240, 190, 100), "held", 0.16),
    _other("chair|椅子", thing.chair, (160, 108, 66), "ground", 0.19),
)
