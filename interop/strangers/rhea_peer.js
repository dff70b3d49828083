// rhea as one end of a connection whose other end is our engine.
//
//     rhea_peer.js listen|dial [--address HOST:PORT] [--count N] [--small] [--user NAME:PASSWORD]
//
// As a listener it prints `ready HOST:PORT` and plays the nodes that `interop/ours` names in its
// `node.rs`; as a dialler it runs its cases against a listener that plays the same nodes, and prints
// `ok NAME` or `FAIL NAME: reason` for each. Both print what they counted as `fact ...`, for the
// driver to compare with what the other end counted. It ends with its standard input.
'use strict';

const { parseArgs } = require('node:util');
const rhea = require('rhea');
const { Count, make } = require('./rhea_messages.js');

// The smallest frame the protocol allows, and deliveries that a session has room for. rhea opens its
// incoming window again only when something besides a part of a message happens, and only below one
// half: a message of more frames than that stops for ever. The largest has 660 of this size.
const SMALL_FRAME = 512;
const SMALL_BUFFER = { incoming: 1400, outgoing: 8 };
// Deliveries that may be in flight.
const CREDIT = 300;
const SMALL_CREDIT = 3;
// Messages of a node that goes away by itself, and of one that is asked for more than it has.
const FEW = 10;
const DRAINED = 5;
// Milliseconds of silence that this end announces it will not bear.
const IDLE_MS = 1000;
const SEND_NODES = ['source', 'outcomes', 'leaving', 'drained'];
const RECEIVE_NODES = ['sink', 'outcomes', 'leaving', 'closing'];
// Settle mode of a sender that settles everything itself.
const SETTLED = 1;

function say(line) {
    process.stdout.write(`${line}\n`);
}

// An error as every implementation prints it.
function shown(error) {
    return error ? `${error.condition}: ${error.description}` : undefined;
}

// What is said of message `number` of a run that gets every outcome.
function outcome(number) {
    return [
        'accepted',
        'rejected test:refused: not this one',
        'released',
        'modified true true',
    ][number % 4];
}

// What the other end said of a delivery.
function outcomeOf(state) {
    const kind = state?.constructor.composite_type;
    if (kind === 'rejected') return `rejected ${shown(state.error)}`;
    if (kind === 'modified') return `modified ${state.delivery_failed} ${state.undeliverable_here}`;
    return String(kind);
}

// What is done on one link.
class Run {
    constructor(link, node, count, settings) {
        Object.assign(this, { link, node, count, small: settings.small });
        this.counted = new Count();
        this.closed = false;
        this.error = undefined;
        this.failure = undefined;
        this.reported = false;
        this.onDone = () => {};
        const side = link.is_receiver() ? 'receiver' : 'sender';
        link.on(`${side}_close`, () => {
            this.closed = true;
            this.error = shown(link.error);
        });
        link.on(`${side}_error`, () => {});
        this.guarded(() => this.start());
    }

    get done() {
        return this.counted.messages === this.count;
    }

    // Runs a step; the first thing it throws is the outcome of the case.
    guarded(step) {
        if (this.failure !== undefined) return;
        try {
            step();
        } catch (error) {
            this.failure = error.message;
            this.onFailure?.(this.failure);
        }
        if (this.done && !this.reported) {
            this.reported = true;
            const verb = this.link.is_receiver() ? 'received' : 'sent';
            say(`fact ${verb} ${this.node} ${this.counted.shown()}`);
            this.onDone();
        }
    }
}

// Sends the first `count` messages.
class SendRun extends Run {
    start() {
        this.next = 0;
        this.settled = this.link.local.attach.snd_settle_mode === SETTLED;
        this.link.on('sendable', () => this.guarded(() => this.pump()));
        this.link.on('settled', (context) => this.guarded(() => this.finish(context.delivery)));
    }

    pump() {
        while (this.next < this.count && this.link.sendable()) {
            this.last = this.link.send(make(this.next));
            this.next++;
            if (this.settled) this.counted.sent();
        }
    }

    finish(delivery) {
        const number = this.counted.messages;
        const came = outcomeOf(delivery.remote_state);
        const due = this.node.startsWith('outcomes') ? outcome(number) : 'accepted';
        if (came !== due) throw new Error(`message ${number}: ${came} came, not ${due}`);
        this.counted.sent();
    }

    // Whether everything has been written: rhea would detach before what still waits for credit.
    get gone() {
        return this.done && this.last.remote_settled;
    }
}

// Receives the first `count` messages.
class ReceiveRun extends Run {
    start() {
        this.link.on('message', (context) => this.guarded(() => this.take(context)));
        this.pump();
    }

    pump() {
        const window = this.small ? SMALL_CREDIT : CREDIT;
        if (!this.node.startsWith('drained') && this.link.credit <= window >> 1) {
            this.link.add_credit(window - this.link.credit);
        }
    }

    take({ message, delivery }) {
        const number = this.counted.messages;
        this.pump();
        const settled = this.link.snd_settle_mode === SETTLED;
        if (delivery.remote_settled !== settled) {
            throw new Error(`message ${number}: settled is ${delivery.remote_settled}`);
        }
        this.settle(delivery, this.node.startsWith('outcomes') ? outcome(number) : 'accepted');
        this.counted.received(message);
    }

    settle(delivery, due) {
        if (due.startsWith('rejected')) {
            delivery.reject({ condition: 'test:refused', description: 'not this one' });
        } else if (due.startsWith('modified')) {
            delivery.modified({ delivery_failed: true, undeliverable_here: true });
        } else if (due === 'released') {
            delivery.release();
        } else {
            delivery.accept();
        }
    }

    get gone() {
        return this.done;
    }
}

// Options of a connection of either role. Credit, outcomes and settling are ours to say.
function options(settings) {
    const small = { max_frame_size: SMALL_FRAME, session_buffer_size: SMALL_BUFFER };
    return {
        container_id: 'rhea',
        reconnect: false,
        tcp_no_delay: true,
        receiver_options: { credit_window: 0, autoaccept: false },
        sender_options: { treat_modified_as_released: false },
        ...(settings.small ? small : {}),
    };
}

// Plays one node to a link that was attached.
function play(link, settings) {
    const { source, target } = link;
    const address = (link.is_receiver() ? target : source)?.address ?? '';
    const [node, , count = settings.count] = address.split('/');
    if (!(link.is_receiver() ? RECEIVE_NODES : SEND_NODES).includes(node)) {
        link.close({ condition: 'amqp:not-found', description: 'no node has this name' });
        return;
    }
    link.set_source({ address: source?.address });
    link.set_target({ address: target?.address });
    link.local.attach.snd_settle_mode = link.snd_settle_mode;
    const counts = { leaving: FEW, closing: FEW, drained: DRAINED };
    const kind = link.is_receiver() ? ReceiveRun : SendRun;
    const run = new kind(link, address, counts[node] ?? Number(count), settings);
    run.onFailure = (reason) => {
        say(`FAIL ${address}: ${reason.replace(/\s+/g, ' ')}`);
        link.connection.close({ condition: 'test:failed', description: reason });
    };
    const enough = 'ten were enough';
    run.onDone = () => {
        if (node === 'leaving') {
            link.close({ condition: 'test:leaving', description: enough });
        } else if (node === 'closing') {
            link.connection.close({ condition: 'test:closed', description: enough });
        }
    };
}

function listen(settings) {
    const container = rhea.create_container({ id: 'rhea' });
    if (settings.user) {
        const [name, password] = settings.user.split(':');
        container.sasl_server_mechanisms.enable_anonymous();
        container.sasl_server_mechanisms.enable_plain(
            (user, given) => user === name && given === password,
        );
    }
    container.on('receiver_open', ({ receiver }) => play(receiver, settings));
    container.on('sender_open', ({ sender }) => play(sender, settings));
    container.on('connection_error', ({ connection }) => {
        say(`fact closed ${shown(connection.error)}`);
    });
    // A peer that hangs up without a close is the driver's to judge.
    container.on('disconnected', ({ error }) => say(`fact broken ${error?.message}`));
    container.on('error', (error) => say(`FAIL connection: ${error.message}`));
    const server = container.listen({
        ...options(settings),
        idle_time_out: IDLE_MS,
        host: settings.host,
        port: settings.port,
    });
    server.on('listening', () => {
        const { address, port } = server.address();
        say(`ready ${address}:${port}`);
    });
}

function main() {
    const { values, positionals } = parseArgs({
        allowPositionals: true,
        options: {
            address: { type: 'string', default: '127.0.0.1:0' },
            count: { type: 'string', default: '10000' },
            small: { type: 'boolean', default: false },
            user: { type: 'string' },
        },
    });
    const at = values.address.lastIndexOf(':');
    const settings = {
        ...values,
        host: values.address.slice(0, at),
        port: Number(values.address.slice(at + 1)),
        count: Number(values.count),
    };
    // Ends with whoever started it.
    process.stdin.resume();
    process.stdin.on('close', () => process.exit(0));
    if (positionals[0] === 'listen') {
        listen(settings);
    } else {
        require('./rhea_cases.js').runAll(settings).then(() => process.exit(0));
    }
}

module.exports = { DRAINED, FEW, IDLE_MS, ReceiveRun, SETTLED, SendRun, options, say, shown };

if (require.main === module) main();
