from setuptools import setup

setup(
    name="casher_policy",
    version="0.1.0",
    packages=["casher_policy"],
    package_data={"casher_policy": ["models/*.safetensors"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/casher_policy"]),
        ("share/casher_policy", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="The CASHER maintainers",
    maintainer_email="maintainers@casher.example.org",
    description="The contract (actions, observations, tasks, episodes) and the node that runs a policy.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "policy_node = casher_policy.policy_node:main",
        ],
    },
)
