"""Free text for the demo in English, Hindi, Marathi and Tamil: reviews, support tickets, doctors' notes.

Templates take `{name}` (whom the text is about), `{other}` (a relative or colleague), `{phone}`, `{email}`,
`{number}` (an identity number) and `{product}`; a template need not use them all.
"""

from __future__ import annotations

from proxy.demo.places import ENGLISH, HINDI, MARATHI, TAMIL

GOOD_REVIEWS = {
    ENGLISH: (
        "Bought the {product} for my cousin {other}, who uses it every day.",
        "Works as described. {other} in the store was very helpful.",
        "The {product} is worth its price. Delivered a day early.",
        "Third one we own. My neighbour {other} ordered one too.",
        "Good quality, well packed. Thank you! {name}",
    ),
    HINDI: (
        "बहुत अच्छा सामान है। {other} को भी पसंद आया।",
        "दाम के हिसाब से बढ़िया। समय पर मिल गया।",
        "मैंने यह {other} के जन्मदिन के लिए लिया था, सब खुश हैं।",
        "दुकान में {other} जी ने बहुत मदद की। धन्यवाद, {name}",
    ),
    MARATHI: (
        "खूप छान वस्तू आहे. {other} यांनाही आवडली.",
        "किंमतीच्या मानाने उत्तम. वेळेवर मिळाली.",
        "दुकानातील {other} यांनी खूप मदत केली. धन्यवाद, {name}",
    ),
    TAMIL: (
        "மிகவும் நல்ல பொருள். {other} அவர்களுக்கும் பிடித்தது.",
        "விலைக்கு ஏற்ற தரம். நேரத்தில் வந்து சேர்ந்தது.",
        "கடையில் {other} நன்றாக உதவினார். நன்றி, {name}",
    ),
}

BAD_REVIEWS = {
    ENGLISH: (
        "The {product} broke after two weeks. {other} promised to call me back and never did.",
        "Not what the picture shows. Please write to {email}.",
        "Arrived late and scratched. I want my money back. {name}, {phone}",
        "Average. {other} has the older model and it is better.",
    ),
    HINDI: (
        "दो हफ्ते में खराब हो गया। {other} ने फोन करने को कहा था, पर नहीं किया।",
        "सामान टूटा हुआ मिला। कृपया {phone} पर बात करें। {name}",
        "फोटो जैसा नहीं है। मुझे पैसे वापस चाहिए।",
    ),
    MARATHI: (
        "दोन आठवड्यांत बिघडले. {other} यांनी फोन करतो म्हटले, पण केला नाही.",
        "वस्तू उशिरा आणि खराब मिळाली. कृपया {phone} वर बोला. {name}",
    ),
    TAMIL: (
        "இரண்டு வாரத்தில் பழுதாகி விட்டது. {other} அழைப்பதாகச் சொன்னார், அழைக்கவில்லை.",
        "பொருள் சேதமாக வந்தது. தயவுசெய்து {phone} எண்ணில் அழைக்கவும். {name}",
    ),
}

TICKET_SUBJECTS = (
    "Delivery is late",
    "Wrong product delivered",
    "Refund for a cancelled order",
    "Change of address",
    "Warranty claim",
    "Card was charged twice",
    "Loyalty points are missing",
    "Invoice with tax number",
)

TICKETS = {
    ENGLISH: (
        "Hello, this is {name}. Please call me on {phone} or write to {email}.",
        "My {product} has not arrived. {other} will be at home on Saturday, phone {phone}.",
        "I spoke to {other} last week and nothing happened. Reply to {email} please. Regards, {name}",
        "You charged my card twice. My tax number is {number}. {name}",
        "Please send the {product} to {other} instead, same street. You can reach me on {phone}.",
    ),
    HINDI: (
        "नमस्ते, मेरा नाम {name} है। कृपया {phone} पर फोन करें।",
        "मेरा सामान अभी तक नहीं आया। {other} घर पर रहेंगे। ईमेल: {email}",
        "पिछले हफ्ते {other} जी से बात हुई थी, कुछ नहीं हुआ। {name}, {phone}",
        "बिल पर मेरा नंबर {number} लिखें। धन्यवाद, {name}",
    ),
    MARATHI: (
        "नमस्कार, माझे नाव {name}. कृपया {phone} वर फोन करा.",
        "माझी वस्तू अजून आली नाही. {other} घरी असतील. ईमेल: {email}",
        "बिलावर माझा क्रमांक {number} लिहा. धन्यवाद, {name}",
    ),
    TAMIL: (
        "வணக்கம், என் பெயர் {name}. தயவுசெய்து {phone} எண்ணில் அழைக்கவும்.",
        "என் பொருள் இன்னும் வரவில்லை. {other} வீட்டில் இருப்பார். மின்னஞ்சல்: {email}",
        "பில்லில் என் எண் {number} எழுதவும். நன்றி, {name}",
    ),
}

NOTES = {
    ENGLISH: (
        "{name} came with {other}. Symptoms for three days. Call {phone} with the results.",
        "Spoke to {other} (spouse) on {phone}. {name} has stopped the tablets and feels dizzy.",
        "Identity checked: {number}. {name} asks that the report be sent to {email}.",
        "Follow-up in two weeks. {name} is anxious about the surgery; {other} will stay overnight.",
        "No allergies known. Family history: father of {name} had diabetes. Referred by Dr. {other}.",
        "Patient refused the test. Explained the risks to {name} in the presence of {other}.",
    ),
    HINDI: (
        "{name} को तीन दिन से बुखार है। साथ में {other} आए थे।",
        "{other} से {phone} पर बात हुई। {name} ने दवा बंद कर दी है।",
        "पहचान संख्या {number} जाँची गई। रिपोर्ट {email} पर भेजनी है।",
        "दो हफ्ते बाद फिर बुलाया है। श्री {other} साथ आएँगे।",
    ),
    MARATHI: (
        "{name} यांना तीन दिवसांपासून ताप आहे. सोबत {other} आले होते.",
        "{other} यांच्याशी {phone} वर बोलणे झाले. {name} यांनी औषध बंद केले आहे.",
        "ओळख क्रमांक {number} तपासला. अहवाल {email} वर पाठवायचा आहे.",
    ),
    TAMIL: (
        "{name} மூன்று நாட்களாகக் காய்ச்சலுடன் உள்ளார். உடன் {other} வந்தார்.",
        "{other} அவர்களிடம் {phone} எண்ணில் பேசினேன். {name} மருந்தை நிறுத்திவிட்டார்.",
        "அடையாள எண் {number} சரிபார்க்கப்பட்டது. அறிக்கையை {email} முகவரிக்கு அனுப்ப வேண்டும்.",
    ),
}
