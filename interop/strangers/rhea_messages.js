// The messages of a run, made and checked from their numbers, as rhea sees them.
'use strict';

const assert = require('node:assert');
const zlib = require('node:zlib');
const { message, types } = require('rhea');

// Larger than any frame of either end.
const LARGE_BYTES = 300000;
// A few frames of the usual size.
const FRAMES_BYTES = 70000;
// Bodies start at one of so many places of the pattern, so that neighbours differ.
const STARTS = 251;
// Milliseconds since 1970: some day in 2023.
const EPOCH_MS = 1700000000000;
// The code of a data section.
const DATA = 0x75;

const PATTERN = Buffer.alloc(LARGE_BYTES + STARTS);
for (let place = 0; place < PATTERN.length; place++) {
    PATTERN[place] = (place * 31 + (place >> 8)) & 0xff;
}

// The body of a message.
function body(number) {
    let size = 10 + ((number * 37) % 1500);
    if (number % 1000 === 999) size = LARGE_BYTES;
    else if (number % 100 === 50) size = FRAMES_BYTES;
    else if (number % 7 === 0) size = 0;
    const start = (number * 7) % STARTS;
    return PATTERN.subarray(start, start + size);
}

// Its application properties as JavaScript has them. rhea does not tell what type came, so the
// types are checked by the other end only.
function plain(number) {
    const tail = number % 500 === 3 ? 'x'.repeat(300) : '';
    return {
        number,
        // No negative zero: a long has none.
        long: number === 0 ? 0 : -number * 2 ** 33,
        crc: zlib.crc32(body(number)),
        text: `\u00e9v\u00e9nement ${number}${tail}`,
        flag: number % 2 === 1,
        double: number + 0.5,
        time: new Date(EPOCH_MS + number),
        binary: Buffer.alloc(number % 20, number & 0xff),
        uuid: Buffer.alloc(16, number & 0xff),
    };
}

// The same with the types that are due.
function typed(number) {
    const value = plain(number);
    return {
        number: types.wrap_int(value.number),
        long: types.wrap_long(value.long),
        crc: types.wrap_long(value.crc),
        text: types.wrap_string(value.text),
        flag: types.wrap_boolean(value.flag),
        double: types.wrap_double(value.double),
        time: types.wrap_timestamp(value.time.getTime()),
        binary: types.wrap_binary(value.binary),
        uuid: types.wrap_uuid(value.uuid),
    };
}

// Its id: an unsigned long or a string.
function id(number) {
    return number % 2 === 0 ? number : `message-${number}`;
}

// A whole message.
function make(number) {
    return {
        durable: number % 2 === 1,
        message_id: id(number),
        subject: `event ${number}`,
        content_type: 'application/octet-stream',
        message_annotations: { 'x-opt-place': types.wrap_long(number) },
        application_properties: typed(number),
        body: message.data_section(body(number)),
    };
}

// How many messages came or went, and a checksum over their bodies in order.
class Count {
    constructor() {
        this.messages = 0;
        this.sum = 0;
    }

    sent() {
        this.add(body(this.messages));
    }

    // Counts the next message that came, if it is the one that is due.
    received(came) {
        const number = this.messages;
        const same = (what, value, due) =>
            assert.deepStrictEqual(value, due, `message ${number}: ${what} is ${value}, not ${due}`);
        same('body section', came.body.typecode, DATA);
        const data = came.body.content;
        assert(data.equals(body(number)), `message ${number}: another body, ${data.length} bytes`);
        same('durable', came.durable ?? false, number % 2 === 1);
        same('id', came.message_id, id(number));
        same('subject', came.subject, `event ${number}`);
        same('content type', came.content_type, 'application/octet-stream');
        same('annotations', came.message_annotations['x-opt-place'], number);
        const due = plain(number);
        same('names', Object.keys(came.application_properties), Object.keys(due));
        for (const [key, value] of Object.entries(due)) {
            same(key, came.application_properties[key], value);
        }
        this.add(data);
    }

    add(data) {
        this.sum = zlib.crc32(data, this.sum);
        this.messages++;
    }

    // `COUNT CHECKSUM`, as every implementation prints it.
    shown() {
        return `${this.messages} ${this.sum.toString(16).padStart(8, '0')}`;
    }
}

module.exports = { Count, make };
