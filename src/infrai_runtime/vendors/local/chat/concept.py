"""A small bilingual thesaurus: words that name the same thing count as a match for each other.

One concept per line; English words before the bar, Chinese words after it. It is general vocabulary: what
people ask programs for, and the common attributes of people, things and events.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .word import NUMBER_WORD, STOP, name_words, stem, tokens

_TABLE = """
weather forecast temperature rain hot sun rainy raining snow snowing sunny umbrella humid windy wind cloudy | 天气 气温
weather rain snow climate storm humidity | 天气 下雨 下雪 气象 气温
temperature thermostat degree warm cold heat heating cool fahrenheit celsius thermometer | 温度 气温 暖气
email mail inbox e-mail | 邮件 邮箱 电邮
sender from send | 发件人 寄件人
recipient receiver to addressee | 收件人 收货人
winner win won champion | 冠军 获胜
spouse marry married wife husband | 妻子 丈夫 结婚
message text sms chat slack dm notify tell ping whatsapp | 短信 消息 通知 信息
send deliver forward compose mail email | 发送 发给 发 寄 写信
call phone dial ring telephone | 打电话 拨打 电话
book reserve reservation booking | 预订 预定 订 订位
flight fly plane airline airfare airport depart | 航班 机票 飞机 飞 飞往
train rail railway | 火车 高铁 列车 车次
taxi cab ride uber car driver pickup | 打车 出租车 叫车
hotel accommodation stay room lodging night | 酒店 住宿 宾馆 房间
restaurant dinner lunch dine eat table cuisine diner food | 餐厅 饭店 餐馆 吃饭 用餐
meal food recipe cook dish ingredient bake | 菜谱 食谱 做菜 烹饪
route direction navigate navigation drive driving way | 路线 导航 怎么走 怎么去
distance far kilometre kilometer mile | 距离 多远
traffic congestion jam | 交通 路况 堵车
map location place address coordinate geocode latitude longitude where | 地图 位置 地址 坐标 地点
city town municipality | 城市
country nation | 国家
time clock hour timezone | 时间 几点 时刻 钟
date day calendar | 日期 日子 几号
calendar event meeting appointment schedule agenda invite | 日历 日程 会议 约会 安排 活动
remind reminder remember forget | 提醒
alarm wake | 闹钟 叫醒
timer countdown | 计时 倒计时 计时器
task todo to-do ticket item checklist remind reminder | 任务 待办 提醒
ticket issue bug incident problem support | 工单 问题 故障
note memo jot | 笔记 备忘 记下
play listen hear song artist music track album artist playlist | 播放 听 歌 音乐 歌曲 歌手
movie film cinema | 电影
video clip youtube | 视频
photo picture image draw illustration painting | 图片 图像 照片 画 图
volume loud louder quiet sound mute | 音量 声音
light lamp bulb brightness dim | 灯 灯光 亮度
on enable activate start | 打开 开启 启动
off disable deactivate stop | 关闭 关掉 停止
open unlock | 打开 开锁 开门
close lock shut | 关闭 锁上 锁门
door gate garage lock | 门 车库
switch toggle turn | 开关
device appliance | 设备 电器
translate translation language | 翻译 译成 语言
summarize summary summarise digest tldr | 总结 摘要 概括
spell grammar proofread correct | 拼写 语法 校对
define definition meaning dictionary mean | 定义 意思 词典 解释
search find look lookup browse google web internet online | 搜索 查找 查询 搜 找 查 检索
news headline article latest | 新闻 头条 消息
wikipedia encyclopedia | 百科
stock share ticker quote trade market nasdaq | 股票 股价 股市
currency exchange convert conversion rate dollar euro yen pound usd eur gbp jpy yuan | 汇率 货币 兑换
currency exchange dollar euro yen yuan | 汇率 货币 换算 兑换 美元 欧元 人民币 日元
convert conversion unit into | 换算 转换 单位
price cost expensive cheap fee worth amount | 价格 价钱 费用 多少钱 售价
pay payment transfer wire send money | 付款 支付 转账 汇款
balance account bank | 余额 账户 银行
invoice bill receipt | 发票 账单 收据
refund return reimburse | 退款 退货
buy purchase order shop cart | 购买 买 下单 订购
order package parcel shipment shipping tracking track delivery | 订单 包裹 快递 物流
product item goods catalog inventory stock | 产品 商品 库存
customer client buyer user | 客户 顾客 用户
employee staff worker personnel colleague | 员工 职员 雇员
job position role occupation profession title work | 工作 职位 职业 岗位
company organization organisation firm business employer corporation | 公司 企业 机构 单位
salary wage pay income earn | 工资 薪水 薪资 收入
person people name full | 人 姓名 名字 叫
age old year-old aged born | 年龄 岁
birthday birth born | 生日 出生
add plus sum total addition increase | 加 相加 加法 求和 总和
subtract minus subtraction difference less decrease | 减 减去 减法 相减
multiply times product multiplication multiplied | 乘 乘以 乘法 相乘
divide division divided over quotient split | 除 除以 除法 相除
power exponent exponentiate raise squared cubed square | 次方 幂 平方 立方
root sqrt square | 平方根 开方
calculate compute evaluate calculator math arithmetic expression | 计算 算 运算
percent percentage % | 百分比 百分之
average mean | 平均 平均值
maximum max largest highest biggest most | 最大 最高
minimum min smallest lowest least | 最小 最低
random roll dice coin flip pick | 随机 骰子 硬币
count number amount many quantity | 数量 个数
sort rank order arrange | 排序 排列
filter where condition | 筛选 过滤
file document folder directory path | 文件 文档 文件夹 目录
read view show display list open see | 读取 查看 显示 列出 看
write save store record create | 写入 保存 记录
create make new add generate build open | 创建 新建 添加 生成 建立
delete remove erase cancel discard | 删除 移除 取消
cancel abort revoke | 取消 撤销
update change edit modify set adjust rename | 更新 修改 更改 编辑 设置 调整
set make adjust change | 设置 设定 调
upload attach | 上传
download fetch get retrieve | 下载 获取
copy duplicate clone | 复制
share invite | 分享 邀请
run execute launch | 运行 执行
code program script python programming | 代码 程序 编程
database sql query table | 数据库
server host machine instance | 服务器 主机
deploy release rollout | 部署 发布
restart reboot | 重启
status state health progress | 状态 进度
log logs history | 日志 历史 记录
password credential login sign | 密码 登录
contact address phonebook | 联系人 通讯录
post tweet publish | 发布 发帖
review rating feedback star opinion | 评价 评论 评分 反馈
sentiment mood emotion feeling tone | 情感 情绪 心情
category type kind class genre | 类别 类型 种类 分类
priority urgent urgency importance critical severity | 优先级 紧急 重要
color colour | 颜色
size dimension large small | 大小 尺寸
weight heavy weigh kilogram pound | 重量 体重
height tall | 身高 高度
length long | 长度
width wide broad | 宽度 宽
depth deep | 深度 深
departure depart leave | 出发 启程
arrival arrive land reach | 到达 抵达
speed fast velocity | 速度
patient doctor medical clinic health | 病人 患者 医生 医院
symptom pain ill sick report complain | 症状 疼
medicine drug medication prescription prescribe dose | 药 药物 剂量
exercise workout run gym fitness training | 锻炼 健身 运动
student pupil learner | 学生
teacher professor instructor | 老师 教师 教授
school university college education degree | 学校 大学 学院 教育
course class lesson lecture | 课程 课
book novel author read library | 书 小说 作者 图书
game match team player score sport | 比赛 球队 球员 比分 体育
joke funny humor | 笑话
poem poetry verse | 诗
story tale | 故事
start begin launch open commence | 开始 启动
end finish stop close complete | 结束 完成 停止
birthplace hometown from origin | 出生地 家乡 籍贯
live reside residence home city | 住 居住 住址
like love favorite favourite prefer enjoy hobby interest | 喜欢 爱好 兴趣 最爱
want need wish | 想 要 需要
invent create develop design inventor | 发明 创造 开发 设计
found establish create start begin founder | 创立 成立 建立 创始人 创办
discover find discovery | 发现
win victory prize award | 获奖 赢得 奖
lead head manage chief director boss leader ceo | 领导 负责人 主管 经理
population inhabitant resident people | 人口
area surface size | 面积
deep depth dive | 深 深度
computer laptop pc notebook | 电脑 笔记本
maintenance upkeep maintain service repair | 维护 保养 维修
submerged underwater dive | 水下
advance ahead before early prior beforehand | 提前 预先
replace exchange swap renew change | 更换 替换
parental parent baby newborn child maternity paternity | 育儿 产假
hold seat capacity accommodate fit sit | 容纳 座位
run manage operate own owner lead head | 经营 管理
home remote remotely office | 在家 远程
employee worker staff hire | 雇员
allow permit may possible permission | 允许 可以
buy cost price pay fee charge | 费用 费
close shut closed | 关门 休息
open opening | 开门 营业
yearly annual annually year | 每年 年度
capital | 首都
river stream | 河 江
mountain peak hill | 山
sea ocean | 海
animal pet dog cat bird | 动物 宠物 狗 猫
plant tree flower garden | 植物 树 花
water irrigation sprinkler | 水 浇水
house home apartment flat property rent | 房子 公寓 家 房屋 租
room bedroom kitchen bathroom | 房间 卧室 厨房
clean vacuum wash | 清洁 打扫 吸尘
camera photo record | 相机 摄像头
tv television channel | 电视
insurance policy claim coverage | 保险 理赔
warranty guarantee | 保修 质保
policy rule regulation | 政策 规定 规则
vacation holiday leave trip travel vacation | 假期 休假 旅行 出差
visa passport | 签证 护照
museum exhibition gallery | 博物馆 展览
concert show event festival | 演唱会 音乐会 演出
capacity hold maximum seat | 容量
cause reason because why | 原因 因为 为什么
guest attendee participant people party | 客人 人数 参加者 嘉宾
attendance attendee attend | 出席 参加
expense spending spend budget | 支出 花费 预算
deadline due | 截止 期限
project program | 项目
risk danger hazard | 风险 危险
skill ability expertise | 技能 能力 擅长
high urgent critical important asap severe | 高 紧急
low minor trivial small | 低
medium normal moderate average | 中 普通
begin open opening hour | 营业 开放
""".strip()


class _Index:
    """Word to concept numbers, for English stems and for Chinese words."""

    def __init__(self, table: str) -> None:
        self.stems: dict[str, set[int]] = {}
        self.chinese: dict[str, set[int]] = {}
        for number, line in enumerate(table.splitlines()):
            english, _, chinese = line.partition("|")
            for word in english.split():
                self.stems.setdefault(stem(word), set()).add(number)
            for word in chinese.split():
                self.chinese.setdefault(word, set()).add(number)
        longest_first = sorted(map(re.escape, self.chinese), key=len, reverse=True)
        self.pattern = re.compile("|".join(longest_first))


_INDEX = _Index(_TABLE)


def concepts_of(term: str) -> set[int]:
    """The concepts that one stem or one Chinese word names."""
    return _INDEX.stems.get(term) or _INDEX.chinese.get(term) or set()


def chinese_words(text: str) -> list[tuple[str, int, int]]:
    """The Chinese words of the thesaurus in ``text``, longest first, with their places."""
    return [(match.group(), match.start(), match.end()) for match in _INDEX.pattern.finditer(text)]


@lru_cache(maxsize=4_000)
def vocabulary(text: str) -> frozenset[str]:
    """The meaning-carrying words of ``text``: English stems and Chinese words of the thesaurus."""
    english = {stem(word) for word in tokens(text) if word not in STOP and word not in NUMBER_WORD and word.isascii()}
    return frozenset(english | {word for word, _, _ in chinese_words(text)})


def name_vocabulary(name: str) -> frozenset[str]:
    """The stems of an identifier."""
    return frozenset(stem(word) for word in name_words(name))


def related(one: str, other: str) -> bool:
    """Whether two terms are the same or stand on one line of the thesaurus."""
    return one == other or bool(concepts_of(one) & concepts_of(other))
