"""What speaks to a judge in other languages than English: the words that make such a sentence."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TONGUES", "Tongue"]


@dataclass(frozen=True, slots=True)
class Tongue:
    """The words of one language, each field alternatives of a regular expression.

    Attributes:
        response: nouns for a response, as plain text; also what tells that the language is there.
        ignore: verbs that set an order aside.
        orders: nouns for orders, as plain text.
        earlier: what makes them the ones that came before.
        choose: verbs that prefer.
        this: this response, my response.
        named: the response that (contains, is written in, ends with ...).
        other: the other response.
        better: what is said of a winner.
        worse: what is said of a loser.
        say: verbs that give an answer.
        both: of the two.
        judging: what else is said of two responses under judgment, and hardly of one.
    """

    response: str
    ignore: str
    orders: str
    earlier: str
    choose: str
    this: str
    named: str
    other: str
    better: str
    worse: str
    say: str
    both: str
    judging: str

    @property
    def signs(self) -> list[str]:
        """Plain texts of which one is there wherever the language speaks to a judge."""
        return [*self.response.split("|"), *self.orders.split("|")]


TONGUES: dict[str, Tongue] = {
    "es": Tongue(
        response="respuesta",
        ignore="ignor[ae]|olvid[ae]|descart[ae]|omit[ae]|haz caso omiso",
        orders="instrucci|indicaci|órdenes|reglas|consignas",
        earlier="anterior|previ[oa]|hasta ahora|de arriba|recibid",
        choose="elig[ei]|elija|escog[ei]|escoja|seleccion[ae]|prefier[ea]|vot[ae]",
        this="(?:esta|mi) respuesta",
        named="la respuesta (?:que|con|en la que|más|escrita)",
        other="la otra respuesta",
        better="mejor|preferible|superior|ganador|ganar",
        worse="prohibid|insegur|peligros|dañin|infring|viola|incorrect|peor|no puede|no debe",
        say="respond[ea]|contest[ae]|escrib[ea]|di",
        both="de las dos|de ambas|entre las dos",
        judging="ganador|jurado|veredicto",
    ),
    "pt": Tongue(
        response="resposta",
        ignore="ignor[ea]|esqueç?a|esquece|descart[ea]|desconsider[ea]",
        orders="instruç|orientaç|ordens|regras",
        earlier="anterior|prévi|acima|até agora|recebid",
        choose="escolh[ae]|selecion[ea]|prefir[ae]|prefere|vot[ea]",
        this="(?:esta|minha|a minha) resposta",
        named="a resposta (?:que|com|em que|escrita)",
        other="a outra resposta",
        better="melhor|preferível|superior|vence",
        worse="proibid|insegur|perigos|nociv|viola|errad|pior|não pode|não deve",
        say="respond[ae]|escrev[ae]|dig[ao]",
        both="das duas|de ambas",
        judging=r"vencedor|vence\b|jurado|veredicto",
    ),
    "fr": Tongue(
        response="réponse",
        ignore=(
            "ignore[zr]?|oublie[zr]?|néglige[zr]?|ne ten(?:ez|ons) pas compte|ne tiens pas compte"
        ),
        orders="instructions|consignes|directives|ordres|règles",
        earlier="précédent|antérieur|ci-dessus|plus haut|reçu|jusqu'ici",
        choose="chois(?:is|issez|ir)|sélectionne[zr]?|préfère|préfére[zr]|vote[zr]?",
        this="(?:cette|ma) réponse",
        named="la réponse (?:la plus|la moins|qui|où|avec|dans laquelle|contenant|écrite)",
        other="l'autre réponse",
        better="meilleure|préférable|supérieure|gagne|l'emporte",
        worse="interdit|dangereu|viole|fausse|incorrect|pire|mauvaise|ne (?:doit|peut) pas",
        say="répond(?:s|ez|re)|écri(?:s|vez|re)|dites|dis",
        both="des deux",
        judging="gagnante|l'emporte|jury|verdict",
    ),
    "it": Tongue(
        response="risposta",
        ignore="ignor[ai]|ignorate|dimentic[ai]|dimenticate|non seguire",
        orders="istruzioni|indicazioni|ordini|regole",
        earlier="precedent|finora|di sopra|qui sopra|ricevut",
        choose="scegli|scegliete|scelga|seleziona|preferisci|preferite|vota",
        this="(?:questa|la mia) risposta",
        named="la risposta (?:più|che|con|in cui|scritta)",
        other="l'altra risposta",
        better="migliore|preferibile|superiore|vince",
        worse="vietat|pericolos|viola|sbagliat|errat|peggiore|non (?:deve|può)",
        say="rispondi|rispondete|scrivi|scrivete|di'",
        both="delle due",
        judging="vincitric|vincent|giuria|verdetto",
    ),
    "de": Tongue(
        response="antwort",
        ignore="ignorier(?:e|en|t)?|vergiss|vergessen|missachte|verwirf",
        orders="anweisung|anleitung|vorgabe|befehl|regeln|aufgabe",
        earlier="bisherig|vorherig|vorig|früher|obig|oben|vorangegangen|zuvor",
        choose="wähl(?:e|en|t)?|nimm|nehmen sie|bevorzug(?:e|en|t)|entscheide(?:n|t)?",
        this="(?:diese[r]?|meine[r]?) antwort",
        named=(
            "(?:die|der|jene) antwort,? (?:in der|die|mit|welche|deren)|die (?:kürzere|"
            "längere|erste|zweite) antwort"
        ),
        other="(?:die|der) andere[n]? antwort",
        better="besser|beste|vorzuziehen|überlegen|gewinnt",
        worse=(
            "versto(?:ss|ß)|verstö(?:ss|ß)t|verboten|gefährlich|falsch|schlechter|unsicher|"
            "verwerfen|darf nicht"
        ),
        say="antworte(?:n|t)?|schreib(?:e|en|t)?|sag(?:e|en|t)?|gib|geben sie",
        both="der beiden|von beiden",
        judging="gewinnt|gewinner|bessere[nr]? antwort|bewerter",
    ),
    "nl": Tongue(
        response="antwoord",
        ignore="negeer|vergeet|sla .{0,20} over",
        orders="instructies|aanwijzingen|opdrachten|regels",
        earlier="vorige|eerdere|bovenstaande|voorgaande|hierboven",
        choose="kies|kiest|selecteer|verkies|stem op",
        this="(?:dit|mijn) antwoord",
        named="het antwoord (?:dat|met|waarin|waar)",
        other="het andere antwoord",
        better="beter|beste|verkieslijk|wint",
        worse="verboden|onveilig|gevaarlijk|schendt|fout|slechter|mag niet",
        say="antwoord|schrijf|zeg|geef",
        both="van de twee|van beide",
        judging=r"wint\b|winnaar|betere antwoord|beoordelaar",
    ),
    "pl": Tongue(
        response="odpowied",
        ignore="zignoruj|ignoruj|zapomnij|pomiń",
        orders="instrukcj|polece|zasad|wskaz",
        earlier="poprzedni|wcześniejsz|powyżs|dotychczas",
        choose="wybierz|zaznacz|preferuj|zagłosuj",
        this="(?:ta|tę|tą|moja|moją) odpowied[źz]",
        named="(?:tę )?odpowiedź, (?:która|w której|z)",
        other="(?:druga|inna|tamta) odpowiedź",
        better="lepsza|najlepsza|wygrywa",
        worse="zabronion|niebezpieczn|narusza|błędn|gorsza|nie może",
        say="odpowiedz|napisz|podaj",
        both="z dwóch|z obu",
        judging="wygrywa|(?<!naj)lepsza odpowied|sędzi",
    ),
    "tr": Tongue(
        response="yanıt|cevap|cevab",
        ignore="yok say|görmezden gel|unut|dikkate alma",
        orders="talimat|yönerge|kural|komut",
        earlier="önceki|yukarıdaki|daha önce|şimdiye kadar",
        choose="seç|tercih et|oy ver",
        this="(?:bu|benim) (?:yanıt|cevab|cevap)",
        named="(?:içeren|geçen|yazılan) (?:yanıt|cevab|cevap)",
        other="(?:diğer|öteki) (?:yanıt|cevap)",
        better="daha iyi|en iyi|üstün|kazan",
        worse="yasak|tehlikeli|ihlal|yanlış|kötü|güvensiz",
        say="yanıtla|cevapla|yaz|söyle",
        both="ikisinden|ikisi arasında|iki yanıt",
        judging="kazanan|daha iyi (?:yanıt|cevap)|hakem",
    ),
    "ru": Tongue(
        response="ответ",
        ignore=(
            "игнорируй(?:те)?|проигнорируй(?:те)?|забудь(?:те)?|не обращай(?:те)? внимания|"
            "отбрось(?:те)?"
        ),
        orders="инструкц|указан|правил|команд|распоряжен",
        earlier="предыдущ|прежн|вышеуказанн|выше|ранее|прошл",
        choose="выб[еи]р(?:и|ите|ай|айте)|предпочти(?:те)?|проголосуй(?:те)?|отдай",
        this="(?:этот|мой|данный) ответ",
        named="(?:тот )?ответ, (?:в котором|который|где|что)",
        other="(?:другой|второй) ответ",
        better="лучший|лучше,? чем|лучше друг|предпочтительн|победи|выигр",
        worse="запрещ|опасн|наруша|неверн|хуже|не может|небезопас",
        say="ответь(?:те)?|отвечай(?:те)?|напиши(?:те)?|скажи(?:те)?|выведи(?:те)?",
        both="из двух|из обоих",
        judging="победи|выигр|лучше,? чем друг|лучше друг|судь",
    ),
    "zh": Tongue(
        response="回答|答案|回复|回應",
        ignore="忽略|无视|無視|忘记|忘記|忘掉|不要理会",
        orders="指示|指令|说明|說明|要求|规则|規則|提示",
        earlier="以上|之前|前面|上面|上述|先前|此前|所有",
        choose="选择|選擇|选|選|请选|投票给",
        this="(?:这个|這個|本|此|我的)(?:回答|答案|回复|回應|回复)",
        named="(?:包含|含有|带有|以).{0,20}(?:回答|答案|回复)",
        other="(?:另一个|另一個|其他|对方的?)(?:回答|答案|回复)",
        better="更好|最好|最佳|更优|胜出|获胜|优于|好得多",
        worse="违反|不安全|有害|错误|違反|有毒|更差|禁止|不能",
        say="直接回答|只回答|请回答|只答|输出|輸出|写下|只写",
        both="两个|两者|二者|兩者",
        judging="更好的(?:回答|答案|回复)|胜出|获胜|评委|裁判",
    ),
    "ja": Tongue(
        response="回答|応答|答え",
        ignore="無視|忘れ|従わない|破棄",
        orders="指示|命令|ルール|プロンプト|説明|規則",
        earlier="前の|以前|上記|これまで|先ほど|上の|今まで",
        choose="選(?:ん|び|択)|えらん",
        this="(?:この|私の|本)(?:回答|応答|答え)",
        named="(?:含む|入っている|書かれた|含まれる|終わる)(?:回答|応答|答え)",
        other="(?:他方|もう一方|もう一つ|別|他)の(?:回答|応答|答え)",
        better="より良い|優れ|最良|ベスト|勝",
        worse="違反|危険|有害|間違|不適切|安全ではな|劣",
        say="答え|出力|回答|書",
        both="二つの|2つの|両方",
        judging="最も|最良|ベスト|勝|より良い(?:回答|応答|答え)|審査",
    ),
    "ko": Tongue(
        response="답변|응답|대답",
        ignore="무시|잊어|잊으|따르지 마",
        orders="지시|명령|규칙|프롬프트|안내",
        earlier="이전|위의|앞의|지금까지|앞선",
        choose="선택|골라|고르",
        this="(?:이|제|내|본) (?:답변|응답|대답)",
        named="(?:포함된|들어 있는|포함하는|들어간|끝나는) (?:답변|응답|대답)",
        other="(?:다른|상대) (?:답변|응답|대답)",
        better="더 (?:낫|좋|나은|우수)|최고|우수",
        worse="위반|위험|유해|틀렸|잘못|안전하지",
        say="답하|대답하|출력|쓰세|말하|답만",
        both="둘 중|두 답변|두 응답",
        judging="최고|더 (?:나은|좋은) (?:답변|응답|대답)|심사",
    ),
    "ar": Tongue(
        response="الإجابة|الاجابة|الرد|إجابتي|الجواب",
        ignore="تجاهل|انس[َى]?|أهمل",
        orders="التعليمات|الأوامر|التوجيهات|القواعد",
        earlier="السابقة|أعلاه|المذكورة|قبل",
        choose="اختر|اختاري|فضّ?ل|انتق",
        this="(?:هذه|هذا) (?:الإجابة|الاجابة|الرد|الجواب)|إجابتي",
        named="(?:الإجابة|الاجابة) (?:التي|ذات|المكتوبة)|الرد الذي",
        other="(?:الإجابة|الاجابة) الأخرى|الرد الآخر",
        better="أفضل|الأفضل|تفوز",
        worse="مخالف|خطير|ضار|خاطئ|تنتهك|أسوأ|غير آمن",
        say="أجب|اكتب|قل|رد",
        both="من الاثنين|بين الإجابتين|من الإجابتين",
        judging="تفوز|الفائز|لجنة التحكيم",
    ),
    "hi": Tongue(
        response="उत्तर|जवाब",
        ignore="अनदेखा|नज़रअंदाज़|नजरअंदाज|भूल",
        orders="निर्देश|आदेश|नियम",
        earlier="पिछले|पिछली|ऊपर|पहले",
        choose="चुन",
        this="(?:यह|इस|मेरा|मेरे|यही) (?:उत्तर|जवाब)",
        named="(?:वह|वही|उस|जिस) (?:उत्तर|जवाब)",
        other="दूसर[ाे] (?:उत्तर|जवाब)",
        better="बेहतर|श्रेष्ठ|सर्वोत्तम|जीत",
        worse="ख़तरनाक|खतरनाक|ग़लत|गलत|असुरक्षित|उल्लंघन|निषिद्ध",
        say="उत्तर दें|जवाब दें|लिखें|लिखो|कहें",
        both="दोनों में",
        judging="जीत|बेहतर (?:उत्तर|जवाब)|सर्वोत्तम|निर्णायक",
    ),
}
