// The cases of rhea as the dialler.
'use strict';

const { setTimeout: pause } = require('node:timers/promises');
const rhea = require('rhea');
const {
    DRAINED, FEW, IDLE_MS, ReceiveRun, SETTLED, SendRun, options, say, shown,
} = require('./rhea_peer.js');

// A case that takes longer hangs.
const CASE_MS = 150000;
// How often a case looks whether what it waits for is there.
const LOOK_MS = 2;
// How long nobody says anything: with no heartbeats either end would give up.
const SILENCE_MS = 3500;
// Messages of a link that gets every outcome, several times over.
const OUTCOMES = 40;
// How often links are attached and detached on one connection, and how many are there at once.
const ROUNDS = 50;
const LINKS = 40;
// The user that the listener knows.
const [USER, PASSWORD] = ['guest', 'let me in'];
// What is granted to a node that has less.
const DRAIN_CREDIT = 20;

function expect(what, came, due) {
    if (came !== due) throw new Error(`${what}: ${came} came, not ${due}`);
}

// One case: its connection and its links.
class Case {
    constructor(settings, label) {
        Object.assign(this, { settings, label, runs: [], failure: undefined });
        this.deadline = Date.now() + CASE_MS;
        this.container = rhea.create_container({ id: 'rhea' });
        this.container.on('error', (error) => { this.failure ??= error.message; });
        this.container.on('connection_error', () => {});
        this.container.on('disconnected', ({ error }) => { this.disconnected = error ?? true; });
        this.container.on('session_close', () => {});
    }

    async until(condition) {
        while (!condition()) {
            const failed = this.runs.find((run) => run.failure !== undefined);
            if (failed) throw new Error(`${failed.node}: ${failed.failure}`);
            if (this.failure) throw new Error(this.failure);
            if (Date.now() > this.deadline) throw new Error(`not done within ${CASE_MS} ms`);
            await pause(LOOK_MS);
        }
    }

    dial(more = { username: 'anonymous' }) {
        const { host, port } = this.settings;
        this.connection = this.container.connect({
            ...options(this.settings), host, port, ...more,
        });
    }

    // Attaches a link on a session of its own: a link without credit holds up its session in rhea.
    run(kind, node, count, settled = false) {
        const session = this.connection.create_session(this.connection.session_buffer_size);
        session.begin();
        const mode = { snd_settle_mode: settled ? SETTLED : 0 };
        const name = `${kind.name} ${node}`;
        const link = kind === SendRun
            ? session.open_sender({ name, target: node, ...mode })
            : session.open_receiver({ name, source: node, ...mode });
        const run = new kind(link, node, count, this.settings);
        this.runs.push(run);
        return run;
    }

    both(label, count, settled = false) {
        const rest = count === this.settings.count ? label : `${label}/${count}`;
        return [
            this.run(SendRun, `sink/${rest}`, count, settled),
            this.run(ReceiveRun, `source/${rest}`, count, settled),
        ];
    }

    async gone(runs) {
        await this.until(() => runs.every((run) => run.gone));
    }

    // Detaches links and ends their sessions.
    async leave(runs, error) {
        for (const run of runs) run.link.close(error);
        await this.until(() => runs.every((run) => run.closed));
        for (const run of runs) {
            expect(`the detach of ${run.node}`, run.error, undefined);
            run.link.session.close();
        }
        await this.until(() => runs.every((run) => run.link.session.is_itself_closed()));
    }

    async few(label) {
        const runs = this.both(label, FEW);
        await this.gone(runs);
        await this.leave(runs);
    }

    async close() {
        if (!this.connection || this.connection.is_closed() || this.disconnected) return;
        this.connection.close();
        await this.until(() => this.connection.is_closed() || this.disconnected);
    }
}

const CASES = {
    // A long run each way, both at once.
    async settled(it) {
        it.dial();
        const runs = it.both(it.label, it.settings.count, true);
        await it.gone(runs);
        await it.leave(runs);
    },

    // The same with outcomes.
    async unsettled(it) {
        it.dial();
        const runs = it.both(it.label, it.settings.count);
        await it.gone(runs);
        await it.leave(runs);
    },

    // Without the SASL layer.
    async 'no-sasl'(it) {
        it.dial({});
        await it.few(it.label);
    },

    // Every outcome, both ways.
    async outcomes(it) {
        it.dial();
        const node = `outcomes/${it.label}/${OUTCOMES}`;
        const runs = [it.run(SendRun, node, OUTCOMES), it.run(ReceiveRun, node, OUTCOMES)];
        await it.gone(runs);
        await it.leave(runs);
    },

    // A node that does not exist, and the connection goes on.
    async refused(it) {
        it.dial();
        const runs = [it.run(SendRun, 'missing', FEW), it.run(ReceiveRun, 'missing', FEW)];
        await it.until(() => runs.every((run) => run.closed));
        for (const run of runs) {
            expect('refusal', run.error, 'amqp:not-found: no node has this name');
            expect('messages', run.counted.messages, 0);
        }
        await it.few(it.label);
    },

    // The other end detaches in the middle, and the connection goes on.
    async leaving(it) {
        it.dial();
        const node = `leaving/${it.label}`;
        const runs = [it.run(SendRun, node, FEW), it.run(ReceiveRun, node, FEW)];
        await it.until(() => runs.every((run) => run.closed));
        for (const run of runs) expect('messages', run.counted.messages, FEW);
        await it.few(it.label);
    },

    // The other end closes the connection with an error.
    async closing(it) {
        it.dial();
        const run = it.run(SendRun, `closing/${it.label}`, FEW);
        await it.until(() => it.connection.error !== undefined);
        expect('close', shown(it.connection.error), 'test:closed: ten were enough');
        expect('messages', run.counted.messages, FEW);
    },

    // This end closes with an error; the other prints what it saw.
    async closed(it) {
        it.dial();
        await it.few(it.label);
        it.connection.close({ condition: 'test:done', description: 'all is done' });
        await it.until(() => it.connection.is_closed());
        expect('answer', shown(it.connection.error), undefined);
    },

    // This end detaches with an error, in the middle.
    async detached(it) {
        it.dial();
        const runs = it.both(it.label, FEW);
        await it.gone(runs);
        await it.leave(runs, { condition: 'test:enough', description: 'no more of this' });
        await it.few(`${it.label}-after`);
    },

    // This end ends the sessions below its links.
    async ended(it) {
        it.dial();
        const runs = it.both(it.label, FEW);
        await it.gone(runs);
        for (const run of runs) run.link.session.close();
        await it.until(() => runs.every((run) => run.link.session.is_itself_closed()));
        await it.few(`${it.label}-after`);
    },

    // A node that is asked for more than it has says so, every time it is asked.
    async drained(it) {
        it.dial();
        const run = it.run(ReceiveRun, `drained/${it.label}`, DRAINED);
        let drained = 0;
        run.link.on('receiver_drained', () => { drained++; });
        let asked = 0;
        // It may be asked before it has anything.
        do {
            asked++;
            run.link.add_credit(DRAIN_CREDIT);
            run.link.drain_credit();
            await it.until(() => drained === asked);
        } while (!run.done);
        await it.leave([run]);
    },

    // Links one after the other, so that handles and channels are used again.
    async reused(it) {
        it.dial();
        for (let round = 0; round < ROUNDS; round++) await it.few(`${it.label}-${round}`);
    },

    // Many links at once.
    async many(it) {
        it.dial();
        const runs = [];
        for (let link = 0; link < LINKS; link++) runs.push(...it.both(`${it.label}-${link}`, FEW));
        await it.gone(runs);
        await it.leave(runs);
    },

    // Nobody says anything for longer than either end bears; heartbeats keep it open.
    async idle(it) {
        it.dial({ username: 'anonymous', idle_time_out: IDLE_MS });
        await it.until(() => it.connection.is_open());
        await pause(SILENCE_MS);
        expect('open', it.connection.is_open() && !it.disconnected, true);
        await it.few(it.label);
    },

    // SASL PLAIN.
    async user(it) {
        it.dial({ username: USER, password: PASSWORD });
        await it.few(it.label);
    },

    // SASL PLAIN with another password.
    async 'wrong-password'(it) {
        it.dial({ username: USER, password: 'guess' });
        await it.until(() => it.disconnected || it.failure);
        expect('open', Boolean(it.connection.is_open()), false);
        it.failure = undefined;
    },
};

async function runAll(settings) {
    for (const [name, run] of Object.entries(CASES)) {
        if (settings.small && name === 'idle') continue;
        const it = new Case(settings, name);
        try {
            await run(it);
            await it.close();
            say(`ok ${name}`);
        } catch (error) {
            say(`FAIL ${name}: ${error.message.replace(/\s+/g, ' ')}`);
        }
    }
    say('done');
}

module.exports = { runAll };
